#include "scorers/sandbox/event_loop.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace fathom::sandbox {

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_)
    throw Error(ErrorKind::kEnvironment, fmt::format("epoll_create1: {}", std::strerror(errno)), "sandbox");
}

namespace {

// The serial tells an event of a descriptor that was closed in the same round from one of its successor.
epoll_event event_for(int fd, uint32_t serial, bool writable) {
  epoll_event event{};
  event.events = EPOLLIN | (writable ? static_cast<uint32_t>(EPOLLOUT) : 0u);
  event.data.u64 = static_cast<uint64_t>(serial) << 32 | static_cast<uint32_t>(fd);
  return event;
}

}  // namespace

void EventLoop::watch(int fd, Callback callback) {
  const uint32_t serial = next_serial_++;
  epoll_event event = event_for(fd, serial, false);
  const int status = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  FATHOM_CHECK(status == 0, "epoll_ctl add {}: {}", fd, std::strerror(errno));
  entries_[fd] = {serial, std::move(callback)};
}

void EventLoop::watch_writable(int fd, bool writable) {
  epoll_event event = event_for(fd, entries_.at(fd).serial, writable);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::forget(int fd) {
  if (entries_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::wait(int timeout_ms) {
  epoll_event events[64];
  const int n = epoll_wait(epoll_.get(), events, 64, timeout_ms);
  for (int i = 0; i < n; ++i) {
    const int fd = static_cast<int>(events[i].data.u64 & 0xFFFFFFFFu);
    const auto entry = entries_.find(fd);
    if (entry == entries_.end() || entry->second.serial != events[i].data.u64 >> 32) continue;
    const Callback callback = entry->second.callback;  // may forget itself
    callback();
  }
}

}  // namespace fathom::sandbox
