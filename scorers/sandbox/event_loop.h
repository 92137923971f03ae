// The supervisor's single thread: calls back when a descriptor is ready.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "scorers/sandbox/file_descriptor.h"

namespace fathom::sandbox {

class EventLoop {
 public:
  using Callback = std::function<void()>;

  EventLoop();

  /// Calls `callback` while `fd` is readable (or hung up). One callback per descriptor.
  void watch(int fd, Callback callback);
  /// Also, or no longer, while it is writable.
  void watch_writable(int fd, bool writable);
  /// To be called before `fd` is closed. Safe inside a callback.
  void forget(int fd);

  /// Waits up to `timeout_ms` (negative: without end) and runs the callbacks that are due.
  void wait(int timeout_ms);

 private:
  struct Entry {
    uint32_t serial;
    Callback callback;
  };
  FileDescriptor epoll_;
  std::unordered_map<int, Entry> entries_;
  uint32_t next_serial_ = 0;
};

}  // namespace fathom::sandbox
