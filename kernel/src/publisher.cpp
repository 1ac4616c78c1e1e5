#include "publisher.hpp"

namespace firn::kernel {
namespace {

constexpr std::chrono::milliseconds kCollecting{50};
constexpr std::size_t kCollected = 1u << 20;  // bytes
constexpr std::string_view kStreamNames[] = {"stdout", "stderr"};

}  // namespace

void Publisher::publish(std::string_view type, const std::string& parent, std::string metadata,
                        std::string content, std::vector<std::string> buffers) {
  const std::lock_guard lock(mutex_);
  drain_locked();
  flush_locked();
  send_locked(type, parent, std::move(metadata), std::move(content), std::move(buffers));
}

void Publisher::write(int stream, std::string_view text, const Parent& parent) {
  const std::lock_guard lock(mutex_);
  drain_locked();  // keeps print() and os.write(1) in their order
  collect_locked(stream, text, parent);
}

void Publisher::capture_descriptors() {
  const std::lock_guard lock(mutex_);
  descriptors_.capture();
}

void Publisher::restore_descriptors() {
  const std::lock_guard lock(mutex_);
  drain_locked();
  flush_locked();
  descriptors_.restore();
}

void Publisher::set_descriptor_parent(Parent parent) {
  const std::lock_guard lock(mutex_);
  drain_locked();
  for (int which = 0; which < 2; ++which) {
    collect_locked(which, descriptors_.give_up_tail(which), descriptor_parent_);
  }
  descriptor_parent_ = std::move(parent);
}

void Publisher::drain_descriptors() {
  const std::lock_guard lock(mutex_);
  drain_locked();
}

void Publisher::flush() {
  const std::lock_guard lock(mutex_);
  drain_locked();
  flush_locked();
}

std::optional<Publisher::Clock::time_point> Publisher::flush_if_due() {
  const std::lock_guard lock(mutex_);
  if (!text_.empty() && Clock::now() >= due_) flush_locked();
  if (text_.empty()) return std::nullopt;
  return due_;
}

void Publisher::drain_locked() {
  for (int which = 0; which < 2; ++which) {
    if (const std::string text = descriptors_.read(which); !text.empty()) {
      collect_locked(which, text, descriptor_parent_);
    }
  }
}

void Publisher::collect_locked(int stream, std::string_view text, const Parent& parent) {
  if (text.empty()) return;
  if (!text_.empty() && (stream != stream_ || parent != parent_)) flush_locked();
  if (text_.empty()) {
    stream_ = stream;
    parent_ = parent;
    due_ = Clock::now() + kCollecting;
    outbox_.wake();  // the I/O thread shall look at the clock
  }
  text_.append(text);
  if (text_.size() >= kCollected) flush_locked();
}

void Publisher::flush_locked() {
  if (text_.empty()) return;
  std::string content = R"({"name":")";
  content.append(kStreamNames[stream_])
      .append(R"(","text":)")
      .append(json_string(text_))
      .append("}");
  text_.clear();
  send_locked("stream", *parent_, "{}", std::move(content), {});
}

void Publisher::send_locked(std::string_view type, const std::string& parent, std::string metadata,
                            std::string content, std::vector<std::string> buffers) {
  outbox_.push(Channel::iopub,
               wire_.encode({topic_prefix_ + std::string(type)}, {.header = wire_.new_header(type),
                                                                  .parent = parent,
                                                                  .metadata = std::move(metadata),
                                                                  .content = std::move(content),
                                                                  .buffers = std::move(buffers)}));
}

}  // namespace firn::kernel
