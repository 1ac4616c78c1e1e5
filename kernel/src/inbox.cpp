#include "inbox.hpp"

namespace firn::kernel {
namespace {

// Takes no memory: the message would be lost.
bool is_execution(const Item& item) {
  if (item.kind != Item::Kind::message) return false;
  const auto type = item.message.header().find("msg_type");
  if (type == item.message.header().end()) return false;
  const auto* name = type->get_ptr<const std::string*>();
  return name != nullptr && *name == "execute_request";
}

}  // namespace

void Inbox::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  arrived_.notify();
}

std::optional<Item> Inbox::pop() {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return std::nullopt;
  Item item = std::move(items_.front());
  items_.pop_front();
  const bool aborting = fences_awaited_ > 0 || before_fence_ > 0;
  if (before_fence_ > 0) --before_fence_;
  if (aborting && is_execution(item)) item.kind = Item::Kind::aborted;
  if (item.kind == Item::Kind::stop) stopped_ = true;
  return item;
}

void Inbox::abort_until_fence() {
  const std::lock_guard lock(mutex_);
  ++fences_awaited_;
}

void Inbox::fence() noexcept {
  const std::lock_guard lock(mutex_);
  --fences_awaited_;
  before_fence_ = items_.size();
}

Inboxes::Inboxes() : main_(std::make_shared<Inbox>()) {}

std::shared_ptr<Inbox> Inboxes::open(const std::string& subshell) {
  const std::lock_guard lock(mutex_);
  return by_id_.try_emplace(subshell, std::make_shared<Inbox>()).first->second;
}

bool Inboxes::close(const std::string& subshell) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(subshell);
  if (found == by_id_.end()) return false;
  found->second->push({Item::Kind::stop, {}});
  by_id_.erase(found);
  return true;
}

void Inboxes::route(xeus::xmessage message) const {
  const auto id = message.header().find("subshell_id");
  if (id == message.header().end() || !id->is_string()) {
    main_->push({Item::Kind::message, std::move(message)});
    return;
  }
  // Under the lock, so that nothing comes after the stop.
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id->get<std::string>());
  if (found == by_id_.end()) {
    main_->push({Item::Kind::lost, std::move(message)});
  } else {
    found->second->push({Item::Kind::message, std::move(message)});
  }
}

}  // namespace firn::kernel
