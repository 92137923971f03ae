#include "harness/work_feed.h"

#include <utility>

namespace fathom::harness {
namespace {

constexpr size_t kQueueLimit = 128;

}  // namespace

WorkFeed::WorkFeed(std::span<const OpenTask> tasks, RequestBuilder builder, IsDone is_done)
    : tasks_(tasks),
      builder_(std::move(builder)),
      is_done_(std::move(is_done)),
      thread_([this] { produce(); }) {}

WorkFeed::~WorkFeed() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<WorkItem> WorkFeed::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !queue_.empty() || finished_; });
  if (queue_.empty()) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::nullopt;
  }
  WorkItem item = std::move(queue_.front());
  queue_.pop_front();
  changed_.notify_all();
  return item;
}

void WorkFeed::produce() {
  try {
    for (size_t task = 0; task < tasks_.size(); ++task) {
      const OpenTask& open = tasks_[task];
      for (size_t doc = 0; doc < static_cast<size_t>(open.n_planned); ++doc) {
        std::optional<tasks::Prompt>
            prompt;  // rendered once for all repeats, and not at all when all are done
        std::optional<BuiltRequest> request;
        for (int64_t rep = 0; rep < open.n_reps; ++rep) {
          if (is_done_(task, doc, rep)) continue;
          if (!prompt) {
            prompt = open.documents.prompt(open.documents.samples[doc]);
            request = builder_.build(*prompt);
          }
          if (!push({task, doc, rep, *prompt, *request})) return;
        }
      }
    }
  } catch (...) {
    std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
  }
  std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

bool WorkFeed::push(WorkItem item) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return queue_.size() < kQueueLimit || stopping_; });
  if (stopping_) return false;
  queue_.push_back(std::move(item));
  changed_.notify_all();
  return true;
}

}  // namespace fathom::harness
