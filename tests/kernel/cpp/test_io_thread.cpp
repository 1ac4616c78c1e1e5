#include <doctest/doctest.h>

#include "io_thread.hpp"
#include "support.hpp"

namespace firn::kernel {
namespace {

using namespace testing;
using nlohmann::json;

// The I/O thread between boxes that the test empties and front ends that the test plays.
struct Running {
  zmq::context_t context;
  Address address;
  RecordedTerminal terminal;
  Wire wire{kKey, "hmac-sha256", "kernel"};
  Outbox outbox;
  Inboxes shell;
  Inbox control, stdin_;
  Publisher publisher{wire, outbox};
  IoThread thread{context,   address.connection,  wire, {outbox, shell, control, stdin_},
                  publisher, terminal.terminal(), [] {}};

  Running() { thread.start(); }

  Client client(int port) { return Client(context, address.connection, port); }

  void publish(const std::string& content) { publisher.publish("test", "{}", "{}", content); }
};

Item next(Inbox& inbox) {
  std::optional<Item> item;
  if (!eventually([&] { return (item = inbox.pop()).has_value(); })) {
    throw std::runtime_error("nothing came into the inbox");
  }
  return std::move(*item);
}

std::string id_of(const Item& item) { return item.message.header().at("msg_id"); }

}  // namespace

TEST_CASE("io: each channel's requests go to its box") {
  Running kernel;
  Client shell = kernel.client(1), control = kernel.client(2), answers = kernel.client(3);
  const std::string one = shell.request("execute_request", {{"code", "1"}});
  const std::string two = control.request("interrupt_request");
  const std::string three = answers.request("input_reply", {{"value", "yes"}});
  const Item item = next(*kernel.shell.main());
  CHECK(item.kind == Item::Kind::message);
  CHECK(item.message.content() == json{{"code", "1"}});
  CHECK(id_of(item) == one);
  CHECK(id_of(next(kernel.control)) == two);
  CHECK(id_of(next(kernel.stdin_)) == three);
  CHECK(kernel.terminal.text().empty());
}

TEST_CASE("io: unsigned or wrongly signed or replayed messages reach no box") {
  Running kernel;
  for (const int port : {1, 2, 3}) {
    Client client = kernel.client(port);
    Inbox& inbox = port == 1 ? *kernel.shell.main() : port == 2 ? kernel.control : kernel.stdin_;
    const auto good = client.frames("execute_request", {{"code", "1"}});
    auto without = good, wrong = good, changed = good;
    without[1].clear();
    wrong[1][5] = wrong[1][5] == '0' ? '1' : '0';
    changed[5] = R"({"code": "2"})";
    client.send(without);
    client.send(wrong);
    client.send(changed);
    client.send({"", "nonsense"});
    client.send(good);
    client.send(good);  // recorded and sent again
    const std::string last = client.request("kernel_info_request");
    CHECK(id_of(next(inbox)) == json::parse(good[2])["msg_id"].get<std::string>());
    CHECK(id_of(next(inbox)) == last);
  }
}

TEST_CASE("io: three thousand requests at once keep their order") {
  Running kernel;
  Client client = kernel.client(1);
  std::vector<std::string> ids;
  for (int i = 0; i < 3000; ++i) ids.push_back(client.request("complete_request", {{"code", ""}}));
  for (const std::string& id : ids) REQUIRE(id_of(next(*kernel.shell.main())) == id);
}

TEST_CASE("io: while a cell runs kernel_info is answered beside it") {
  Running kernel;
  Client client = kernel.client(1);
  kernel.shell.main()->set_busy(true);
  const std::string info = client.request("kernel_info_request");
  const std::string cell = client.request("execute_request", {{"code", "1"}});
  const Item beside = next(kernel.control);
  CHECK(beside.kind == Item::Kind::beside);
  CHECK(id_of(beside) == info);
  CHECK(id_of(next(*kernel.shell.main())) == cell);
  kernel.shell.main()->set_busy(false);
  const std::string later = client.request("kernel_info_request");
  CHECK(id_of(next(*kernel.shell.main())) == later);
}

TEST_CASE("io: a subshell's requests go to its inbox") {
  Running kernel;
  Client client = kernel.client(1);
  const auto subshell = kernel.shell.open("s");
  const json there{{"subshell_id", "s"}};
  const std::string one = client.request("execute_request", {{"code", "1"}}, there);
  CHECK(id_of(next(*subshell)) == one);
  kernel.shell.close("s");
  client.request("execute_request", {{"code", "1"}}, there);
  CHECK(next(*kernel.shell.main()).kind == Item::Kind::lost);
}

TEST_CASE("io: replies and publications leave in the order of the outbox") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  Client client = kernel.client(1);
  client.request("x_request");
  const Item item = next(*kernel.shell.main());
  for (int i = 0; i < 200; ++i) {
    kernel.publish(json{{"n", i}}.dump());
    kernel.outbox.push(
        Channel::shell,
        kernel.wire.encode(item.message.identities(), {.header = kernel.wire.new_header("x_reply"),
                                                       .parent = "{}",
                                                       .metadata = "{}",
                                                       .content = json{{"n", i}}.dump(),
                                                       .buffers = {"buffer"}}));
  }
  for (int i = 0; i < 200; ++i) {
    REQUIRE(subscriber.receive().content["n"] == i);
    const Message reply = client.receive();
    REQUIRE(reply.content["n"] == i);
    REQUIRE(reply.buffers == std::vector<std::string>{"buffer"});
  }
}

TEST_CASE("io: everything that was sent before the fence lies before it") {
  Running kernel;
  Client client = kernel.client(1);
  const auto inbox = kernel.shell.main();
  client.request("execute_request", {{"code", "warm up"}});
  next(*inbox);
  inbox->abort_until_fence();
  client.request("execute_request", {{"code", "too early"}});
  CHECK(next(*inbox).kind == Item::Kind::aborted);
  kernel.outbox.push_fence(inbox);
  CHECK(eventually([&] {
    client.request("execute_request", {{"code", "later"}});
    return next(*inbox).kind == Item::Kind::message;
  }));
}

TEST_CASE("io: what was printed goes out in time without another message") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  const Parent parent = std::make_shared<const std::string>(R"({"msg_id": "cell"})");
  for (int i = 0; i < 100; ++i) kernel.publisher.write(0, "x", parent);
  const Message stream = subscriber.receive();
  CHECK(stream.topic == "kernel.stream");
  CHECK(stream.content == json{{"name", "stdout"}, {"text", std::string(100, 'x')}});
  CHECK(stream.parent["msg_id"] == "cell");
}

TEST_CASE("io: writers that are faster than the socket wait and nothing is lost") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  const Parent parent = std::make_shared<const std::string>(R"({"msg_id": "cell"})");
  constexpr std::size_t kPiece = 4u << 20, kPieces = 40;  // 160 MB; the bound is 64
  std::jthread writer([&] {
    for (std::size_t i = 0; i < kPieces; ++i) {
      while (!kernel.outbox.wait_for_room(std::chrono::milliseconds(50))) {
      }
      kernel.publisher.write(0, std::string(kPiece, static_cast<char>('a' + i % 26)), parent);
    }
    kernel.publish(R"({"last": true})");
  });
  // Read without a JSON parser, which would be the slowest of all.
  const std::string before = R"({"name":"stdout","text":")", after = R"("})";
  std::size_t bytes = 0;
  for (std::size_t i = 0;; ++i) {
    const auto frames = subscriber.receive_frames();
    REQUIRE(frames);
    const std::string& content = frames->at(6);
    if (!content.starts_with(before)) break;
    REQUIRE(content[before.size()] == static_cast<char>('a' + i % 26));
    bytes += content.size() - before.size() - after.size();
  }
  CHECK(bytes == kPiece * kPieces);
  CHECK(eventually([&] { return kernel.outbox.has_room(); }));
}

TEST_CASE("io: what is in the outbox is sent before the thread ends") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  const Parent parent = std::make_shared<const std::string>("{}");
  kernel.publish(R"({"n": 1})");
  kernel.publisher.write(0, "the last words", parent);
  kernel.thread.stop();
  CHECK(subscriber.receive().content["n"] == 1);
  CHECK(subscriber.receive().content["text"] == "the last words");
}

TEST_CASE("io: a message that memory does not suffice for costs that message alone") {
  Running kernel;
  Client client = kernel.client(1);
  client.request("execute_request", {{"code", "before"}});
  CHECK(next(*kernel.shell.main()).message.content()["code"] == "before");
  constexpr std::size_t kLarge = 2'000'000;
  const auto too_large = client.frames("execute_request", {{"code", std::string(kLarge, 'x')}});
  {
    const ShortOfMemory memory(kLarge);
    client.send(too_large);
    REQUIRE(eventually([&] { return !kernel.terminal.text().empty(); }));
  }
  CHECK(kernel.terminal.text().starts_with(
      "firn_kernel: the I/O thread could not take a message from a front end: "));
  client.request("execute_request", {{"code", "after"}});
  CHECK(next(*kernel.shell.main()).message.content()["code"] == "after");
}

TEST_CASE("io: a publication that memory does not suffice for leaves room for the next") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  Frames many(100'000, std::string(1000, 'x'));  // 100 MB, more than the bound
  {
    const ShortOfMemory memory(2'000'000);  // the table of its parts is larger
    kernel.outbox.push(Channel::iopub, std::move(many));
    REQUIRE(eventually([&] { return !kernel.terminal.text().empty(); }));
  }
  CHECK(kernel.terminal.text().starts_with("firn_kernel: the I/O thread could not send a message"));
  CHECK(kernel.outbox.wait_for_room(kPatience));
  kernel.publish(R"({"n": 1})");
  CHECK(subscriber.receive().content["n"] == 1);
}

TEST_CASE("io: a failing look at the streams is repeated until it works") {
  Running kernel;
  Subscriber subscriber(kernel.context, kernel.address.connection);
  const Parent parent = std::make_shared<const std::string>("{}");
  {
    const ShortOfMemory memory(600'000);
    kernel.publisher.write(0, std::string(500'000, '\n'), parent);  // twice as long as JSON
    REQUIRE(eventually([&] { return !kernel.terminal.text().empty(); }));
  }
  CHECK(kernel.terminal.text().find("publish what was printed") != std::string::npos);
  CHECK(subscriber.receive().content["text"] == std::string(500'000, '\n'));
}

}  // namespace firn::kernel
