// The byte stream between the harness and the supervisor process. Both ends are fathom: it is no file format
// and needs no version.
//
//   frame    length u32 | kind u8 | payload         (length counts kind and payload)
//   payload  numbers as they lie in memory, strings as u64 length and bytes
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scorers/sandbox/job.h"

namespace fathom::sandbox {

enum class FrameKind : uint8_t {
  kOptions,  ///< harness: SandboxOptions as JSON; first frame
  kJob,      ///< harness
  kStarted,  ///< supervisor: the run record as JSON
  kFailed,   ///< supervisor: an Error {kind, message, where} as JSON; last frame
  kResult,   ///< supervisor
};

/// Longest frame; a job's texts together must fit.
inline constexpr uint32_t kMaxFrameBytes = 256u << 20;

std::string make_frame(FrameKind kind, std::string_view payload);

/// Cuts a stream into frames.
class FrameReader {
 public:
  void append(std::string_view bytes) { buffer_.append(bytes); }
  struct Frame {
    FrameKind kind;
    std::string payload;
  };
  /// The next whole frame. FATHOM_CHECKs its length.
  std::optional<Frame> next();

 private:
  std::string buffer_;
  size_t begin_ = 0;
};

std::string pack_job(const Job& job);
Job unpack_job(std::string_view payload);
std::string pack_result(const Result& result);
Result unpack_result(std::string_view payload);

}  // namespace fathom::sandbox
