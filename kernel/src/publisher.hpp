#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "descriptors.hpp"
#include "outbox.hpp"
#include "wire.hpp"

namespace firn::kernel {

// A request's header as JSON text: the parent of what it publishes.
using Parent = std::shared_ptr<const std::string>;

// Everything that goes out on iopub, in one order. Any thread.
//
// Stream text is collected for 50 ms or 1 MB. Before every other message, what is in the pipes of
// file descriptors 1 and 2 and what was collected go out first; that is why `idle` is last.
class Publisher {
 public:
  using Clock = std::chrono::steady_clock;

  Publisher(const Wire& wire, Outbox& outbox) : wire_(wire), outbox_(outbox) {}

  void set_topic_prefix(std::string prefix) { topic_prefix_ = std::move(prefix); }

  void publish(std::string_view type, const std::string& parent, std::string metadata,
               std::string content, std::vector<std::string> buffers = {});
  void write(int stream, std::string_view text, const Parent& parent);

  void capture_descriptors();
  void restore_descriptors();
  int pipe(int which) const { return descriptors_.pipe(which); }
  int original_descriptor(int which) const { return descriptors_.original(which); }
  // Whose output it is that appears in the pipes from now on.
  void set_descriptor_parent(Parent parent);

  void drain_descriptors();
  void flush();
  // Publishes what was collected if its time is over; else says when that will be.
  std::optional<Clock::time_point> flush_if_due();

 private:
  void drain_locked();
  void collect_locked(int stream, std::string_view text, const Parent& parent);
  void flush_locked();
  void send_locked(std::string_view type, const std::string& parent, std::string metadata,
                   std::string content, std::vector<std::string> buffers);

  const Wire& wire_;
  Outbox& outbox_;
  std::string topic_prefix_ = "kernel.";
  std::mutex mutex_;
  Descriptors descriptors_;
  Parent descriptor_parent_ = std::make_shared<const std::string>("{}");
  // What was collected: text of one stream of one parent.
  std::string text_;
  int stream_ = 0;
  Parent parent_;
  Clock::time_point due_;
};

}  // namespace firn::kernel
