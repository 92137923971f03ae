#include "scorers/sandbox/wire.h"

#include <type_traits>

#include "base/error.h"

namespace fathom::sandbox {
namespace {

// One description of each structure serves both directions: for_each_field(writer or reader, object).

class Writer {
 public:
  template <typename T>
  void field(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void field(const std::string& text) {
    field(static_cast<uint64_t>(text.size()));
    bytes_ += text;
  }
  template <typename T>
  void sequence(const std::vector<T>& items) {
    field(static_cast<uint64_t>(items.size()));
    for (const T& item : items) for_each_field(*this, item);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  void field(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(&value, cut(sizeof value).data(), sizeof value);
  }
  void field(std::string& text) {
    uint64_t size = 0;
    field(size);
    text = cut(size);
  }
  template <typename T>
  void sequence(std::vector<T>& items) {
    uint64_t count = 0;
    field(count);
    items.clear();
    for (uint64_t i = 0; i < count; ++i) for_each_field(*this, items.emplace_back());
  }

 private:
  std::string_view cut(uint64_t size) {
    FATHOM_CHECK(size <= bytes_.size(), "{} bytes of {}", size, bytes_.size());
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }
  std::string_view bytes_;
};

template <typename Stream, typename Text>
  requires std::is_same_v<std::remove_const_t<Text>, std::string>
void for_each_field(Stream& stream, Text& text) {
  stream.field(text);
}

template <typename Stream, typename T>
  requires std::is_same_v<std::remove_const_t<T>, Attempt>
void for_each_field(Stream& stream, T& attempt) {
  stream.field(attempt.verdict);
  stream.field(attempt.detail);
  stream.field(attempt.wall_ms);
  stream.field(attempt.cpu_ms);
  stream.field(attempt.runner_cpu_ms);
  stream.field(attempt.peak_rss_mb);
  stream.field(attempt.signal);
  stream.field(attempt.calls);
  stream.field(attempt.judge_turn);
  stream.field(attempt.tests_compiled);
  stream.field(attempt.load);
  stream.field(attempt.cell);
}

template <typename Stream, typename T>
  requires std::is_same_v<std::remove_const_t<T>, Job>
void for_each_field(Stream& stream, T& job) {
  stream.field(job.id);
  stream.field(job.kind);
  stream.field(job.prompt);
  stream.field(job.completion);
  stream.field(job.test);
  stream.field(job.entry_point);
  stream.field(job.setup);
  stream.sequence(job.tests);
  stream.field(job.limits);
}

template <typename Stream, typename T>
  requires std::is_same_v<std::remove_const_t<T>, Result>
void for_each_field(Stream& stream, T& result) {
  stream.field(result.id);
  stream.field(result.verdict);
  stream.field(result.detail);
  stream.field(result.wall_ms);
  stream.field(result.cpu_ms);
  stream.field(result.peak_rss_mb);
  stream.field(result.standard_output);
  stream.field(result.output_bytes);
  stream.field(result.standard_error);
  stream.field(result.signal);
  stream.field(result.policy_hash);
  stream.sequence(result.attempts);
}

template <typename T>
std::string pack(const T& object) {
  Writer writer;
  for_each_field(writer, object);
  return writer.take();
}

template <typename T>
T unpack(std::string_view payload) {
  T object;
  Reader reader(payload);
  for_each_field(reader, object);
  return object;
}

}  // namespace

std::string make_frame(FrameKind kind, std::string_view payload) {
  FATHOM_CHECK(payload.size() < kMaxFrameBytes, "a frame of {} bytes", payload.size());
  const auto length = static_cast<uint32_t>(payload.size() + 1);
  std::string frame(reinterpret_cast<const char*>(&length), sizeof length);
  frame += static_cast<char>(kind);
  frame += payload;
  return frame;
}

std::optional<FrameReader::Frame> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  uint32_t length = 0;
  if (rest.size() < sizeof length) return std::nullopt;
  std::memcpy(&length, rest.data(), sizeof length);
  FATHOM_CHECK(length >= 1 && length <= kMaxFrameBytes, "a frame of {} bytes", length);
  if (rest.size() < sizeof length + length) return std::nullopt;
  Frame frame = {static_cast<FrameKind>(rest[sizeof length]),
                 std::string(rest.substr(sizeof length + 1, length - 1))};
  begin_ += sizeof length + length;
  if (begin_ > (1u << 20) || begin_ == buffer_.size()) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return frame;
}

std::string pack_job(const Job& job) {
  return pack(job);
}
Job unpack_job(std::string_view payload) {
  return unpack<Job>(payload);
}
std::string pack_result(const Result& result) {
  return pack(result);
}
Result unpack_result(std::string_view payload) {
  return unpack<Result>(payload);
}

}  // namespace fathom::sandbox
