#include "inbox.hpp"

namespace firn::kernel {

void Inbox::push(Item item) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }
  arrived_.notify();
}

std::optional<Item> Inbox::pop() {
  const std::lock_guard lock(mutex_);
  while (!items_.empty()) {
    Item item = std::move(items_.front());
    items_.pop_front();
    if (item.kind == Item::Kind::fence) {
      --fences_awaited_;
      continue;
    }
    if (item.kind == Item::Kind::message && fences_awaited_ > 0 &&
        item.message.header().value("msg_type", "") == "execute_request") {
      item.kind = Item::Kind::aborted;
    }
    return item;
  }
  return std::nullopt;
}

void Inbox::abort_until_fence() {
  const std::lock_guard lock(mutex_);
  ++fences_awaited_;
}

Inboxes::Inboxes() : main_(std::make_shared<Inbox>()), by_id_{{"", main_}} {}

std::shared_ptr<Inbox> Inboxes::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::shared_ptr<Inbox> Inboxes::route(const xeus::xmessage& message) const {
  const auto id = message.header().find("subshell_id");
  if (id == message.header().end() || !id->is_string()) return main_;
  auto inbox = find(id->get<std::string>());
  return inbox ? inbox : main_;
}

}  // namespace firn::kernel
