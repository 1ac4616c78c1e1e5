#include <doctest/doctest.h>
#include <poll.h>

#include <map>
#include <thread>

#include "inbox.hpp"
#include "outbox.hpp"
#include "support.hpp"

namespace firn::kernel {
namespace {

using nlohmann::json;
using testing::ShortOfMemory;

xeus::xmessage message(const std::string& type, json more_of_header = json::object()) {
  more_of_header["msg_type"] = type;
  more_of_header["msg_id"] = "1";
  return {{}, more_of_header, json::object(), json::object(), json::object(), {}};
}

Item item(const std::string& type) { return {Item::Kind::message, message(type)}; }

bool readable(int fd) {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

std::string type_of(const Item& item) { return item.message.header().at("msg_type"); }

}  // namespace

TEST_CASE("event: several notifications count as one") {
  const EventFd event;
  CHECK_FALSE(readable(event.fd()));
  event.notify();
  event.notify();
  CHECK(readable(event.fd()));
  event.clear();
  CHECK_FALSE(readable(event.fd()));
  event.clear();  // does not wait
}

TEST_CASE("inbox: what is pushed comes out in order") {
  Inbox inbox;
  CHECK_FALSE(inbox.pop());
  for (const char* type : {"a", "b", "c"}) inbox.push(item(type));
  CHECK(readable(inbox.fd()));
  inbox.clear_event();
  for (const char* type : {"a", "b", "c"}) CHECK(type_of(*inbox.pop()) == type);
  CHECK_FALSE(inbox.pop());
}

TEST_CASE("inbox: after a failed cell executes are aborted until the fence") {
  Inbox inbox;
  inbox.push(item("execute_request"));
  inbox.push(item("complete_request"));
  inbox.abort_until_fence();
  inbox.push(item("execute_request"));
  inbox.fence();
  inbox.push(item("execute_request"));
  const std::vector<Item::Kind> expected{Item::Kind::aborted, Item::Kind::message,
                                         Item::Kind::aborted, Item::Kind::message};
  for (const Item::Kind kind : expected) CHECK(inbox.pop()->kind == kind);
  CHECK_FALSE(inbox.pop());
}

TEST_CASE("inbox: two failures wait for two fences") {
  Inbox inbox;
  inbox.abort_until_fence();
  inbox.abort_until_fence();
  inbox.fence();
  inbox.push(item("execute_request"));
  inbox.fence();
  inbox.push(item("execute_request"));
  CHECK(inbox.pop()->kind == Item::Kind::aborted);
  CHECK(inbox.pop()->kind == Item::Kind::message);
}

TEST_CASE("inbox: a fence that is there before the failure is told ends the aborting too") {
  Inbox inbox;
  inbox.push(item("execute_request"));
  inbox.fence();  // the I/O thread is quicker than the runner that asked for it
  inbox.push(item("execute_request"));
  inbox.abort_until_fence();
  CHECK(inbox.pop()->kind == Item::Kind::aborted);
  CHECK(inbox.pop()->kind == Item::Kind::message);
}

TEST_CASE("inbox: a fence needs no memory") {
  Inbox inbox;
  inbox.push(item("execute_request"));
  inbox.abort_until_fence();
  {
    const ShortOfMemory from_now_on(1);
    inbox.fence();
  }
  inbox.push(item("execute_request"));
  CHECK(inbox.pop()->kind == Item::Kind::aborted);
  CHECK(inbox.pop()->kind == Item::Kind::message);
}

TEST_CASE("inbox: stopped once the stop is found and not before") {
  Inbox inbox;
  inbox.push(item("a"));
  inbox.push({Item::Kind::stop, {}});
  CHECK(type_of(*inbox.pop()) == "a");
  CHECK_FALSE(inbox.stopped());
  CHECK(inbox.pop()->kind == Item::Kind::stop);
  CHECK(inbox.stopped());
}

TEST_CASE("inboxes: the header's subshell says where a request goes") {
  Inboxes inboxes;
  const auto subshell = inboxes.open("s");
  CHECK(inboxes.open("s") == subshell);
  inboxes.route(message("main"));
  inboxes.route(message("null", {{"subshell_id", nullptr}}));
  inboxes.route(message("sub", {{"subshell_id", "s"}}));
  inboxes.route(message("nobody", {{"subshell_id", "t"}}));
  CHECK(type_of(*subshell->pop()) == "sub");
  CHECK_FALSE(subshell->pop());
  const auto main = inboxes.main();
  CHECK(type_of(*main->pop()) == "main");
  CHECK(type_of(*main->pop()) == "null");
  CHECK(main->pop()->kind == Item::Kind::lost);
}

TEST_CASE("inboxes: nothing comes after the stop of a closed subshell") {
  Inboxes inboxes;
  const auto subshell = inboxes.open("s");
  inboxes.route(message("before", {{"subshell_id", "s"}}));
  CHECK(inboxes.close("s"));
  CHECK_FALSE(inboxes.close("s"));
  inboxes.route(message("after", {{"subshell_id", "s"}}));
  CHECK(type_of(*subshell->pop()) == "before");
  CHECK(subshell->pop()->kind == Item::Kind::stop);
  CHECK_FALSE(subshell->pop());
  CHECK(inboxes.main()->pop()->kind == Item::Kind::lost);
}

TEST_CASE("outbox: errands are taken in order and all at once") {
  Outbox outbox;
  const auto inbox = std::make_shared<Inbox>();
  CHECK(outbox.take().empty());
  outbox.push(Channel::shell, {"reply"});
  outbox.push_fence(inbox);
  outbox.push(Channel::iopub, {"idle"});
  CHECK(readable(outbox.fd()));
  const auto errands = outbox.take();
  REQUIRE(errands.size() == 3);
  CHECK(std::get<Parcel>(errands[0]).channel == Channel::shell);
  CHECK(std::get<std::shared_ptr<Inbox>>(errands[1]) == inbox);
  CHECK(std::get<Parcel>(errands[2]).frames == Frames{"idle"});
  CHECK(outbox.take().empty());
}

TEST_CASE("outbox: each thread's own order is kept and nothing is lost") {
  Outbox outbox;
  constexpr int kEach = 500;
  std::map<std::string, int> seen;
  std::vector<std::jthread> threads;
  for (const char* name : {"a", "b", "c"}) {
    threads.emplace_back([&outbox, name] {
      for (int i = 0; i < kEach; ++i) outbox.push(Channel::shell, {name, std::to_string(i)});
    });
  }
  int left = 3 * kEach;
  while (left > 0) {
    pollfd watched{outbox.fd(), POLLIN, 0};
    ::poll(&watched, 1, -1);
    outbox.clear_event();
    for (const Errand& errand : outbox.take()) {
      const Frames& frames = std::get<Parcel>(errand).frames;
      REQUIRE(std::stoi(frames[1]) == seen[frames[0]]++);
      --left;
    }
  }
}

TEST_CASE("outbox: who publishes more than is sent has to wait") {
  Outbox outbox;
  const std::string megabytes(32u << 20, 'x');
  outbox.push(Channel::iopub, {megabytes});
  CHECK(outbox.has_room());
  outbox.push(Channel::shell, {megabytes});  // replies are not held back
  CHECK(outbox.has_room());
  outbox.push(Channel::iopub, {megabytes});
  CHECK_FALSE(outbox.has_room());
  CHECK_FALSE(outbox.wait_for_room(std::chrono::milliseconds(1)));
  CHECK(outbox.take().size() == 3);  // nothing was dropped
  CHECK_FALSE(outbox.has_room());    // taken is not yet sent
  std::jthread sender([&] { outbox.published(megabytes.size()); });
  CHECK(outbox.wait_for_room(std::chrono::minutes(1)));
  CHECK(outbox.has_room());
}

}  // namespace firn::kernel
