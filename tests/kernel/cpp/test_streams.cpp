#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <map>
#include <new>
#include <thread>

#include "descriptors.hpp"
#include "publisher.hpp"
#include "support.hpp"

namespace firn::kernel {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

struct Collected {
  Wire wire{"", "hmac-sha256", "kernel"};
  Outbox outbox;
  Publisher publisher{wire, outbox};

  struct Publication {
    std::string topic;
    json header, parent, content;
    std::string text() const { return content.value("text", ""); }
  };
  std::vector<Publication> taken() {
    std::vector<Publication> all;
    for (const Errand& errand : outbox.take()) {
      const Frames& f = std::get<Parcel>(errand).frames;
      all.push_back({f[0], json::parse(f[3]), json::parse(f[4]), json::parse(f[6])});
    }
    return all;
  }
};

Parent parent(const char* id) {
  return std::make_shared<const std::string>(json{{"msg_id", id}}.dump());
}

// The descriptors of the process, which the test's own messages need again when it ends.
struct Captured {
  explicit Captured(Publisher& publisher) : publisher(publisher) {
    publisher.capture_descriptors();
  }
  ~Captured() { publisher.restore_descriptors(); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  Publisher& publisher;
};

void say(int fd, std::string_view text) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
}

}  // namespace

TEST_CASE("streams: many writes become one message") {
  Collected kernel;
  const Parent cell = parent("cell");
  for (int i = 0; i < 200; ++i) kernel.publisher.write(0, std::to_string(i % 10), cell);
  CHECK(kernel.taken().empty());
  kernel.publisher.flush();
  const auto all = kernel.taken();
  REQUIRE(all.size() == 1);
  CHECK(all[0].topic == "kernel.stream");
  CHECK(all[0].parent["msg_id"] == "cell");
  CHECK(all[0].content["name"] == "stdout");
  CHECK(all[0].text().size() == 200);
  CHECK(all[0].text().starts_with("0123456789"));
}

TEST_CASE("streams: another stream or parent begins another message") {
  Collected kernel;
  const Parent first = parent("first"), second = parent("second");
  kernel.publisher.write(0, "a", first);
  kernel.publisher.write(1, "b", first);
  kernel.publisher.write(1, "c", second);
  kernel.publisher.write(1, "", first);  // nothing is nothing
  kernel.publisher.write(1, "d", second);
  kernel.publisher.flush();
  const auto all = kernel.taken();
  REQUIRE(all.size() == 3);
  CHECK(all[0].text() == "a");
  CHECK(all[1].content == json{{"name", "stderr"}, {"text", "b"}});
  CHECK(all[1].parent["msg_id"] == "first");
  CHECK(all[2].text() == "cd");
  CHECK(all[2].parent["msg_id"] == "second");
}

TEST_CASE("streams: a megabyte goes out at once") {
  Collected kernel;
  kernel.publisher.write(0, std::string((1u << 20) - 1, 'x'), parent("cell"));
  CHECK(kernel.taken().empty());
  kernel.publisher.write(0, "x", parent("cell"));
  std::size_t bytes = 0;
  for (const auto& publication : kernel.taken()) bytes += publication.text().size();
  CHECK(bytes >= (1u << 20) - 1);
  kernel.publisher.flush();
  for (const auto& publication : kernel.taken()) bytes += publication.text().size();
  CHECK(bytes == 1u << 20);
}

TEST_CASE("streams: what was collected is due after a while") {
  Collected kernel;
  CHECK(kernel.publisher.flush_if_due() == std::nullopt);
  kernel.publisher.write(0, "x", parent("cell"));
  const auto due = kernel.publisher.flush_if_due();
  REQUIRE(due);
  CHECK(kernel.taken().empty());
  std::this_thread::sleep_until(*due);
  CHECK(kernel.publisher.flush_if_due() == std::nullopt);
  CHECK(kernel.taken().size() == 1);
}

TEST_CASE("streams: everything written comes before what is published next") {
  Collected kernel;
  kernel.publisher.set_topic_prefix("kernel_core.1.");
  std::vector<Collected::Publication> all;
  {
    const Captured captured(kernel.publisher);
    kernel.publisher.set_descriptor_parent(parent("cell"));
    say(1, "C code, ");
    kernel.publisher.write(0, "print, ", parent("cell"));
    say(1, "a child");
    say(2, "its errors");
    kernel.publisher.publish("status", "{}", "{}", R"({"execution_state": "idle"})");
    all = kernel.taken();
  }
  REQUIRE(all.size() >= 3);
  CHECK(all.back().topic == "kernel_core.1.status");
  std::string out, err;
  for (const auto& publication : all) {
    (publication.content.value("name", "") == "stdout" ? out : err) += publication.text();
    if (!publication.text().empty()) CHECK(publication.parent["msg_id"] == "cell");
  }
  CHECK(out == "C code, print, a child");
  CHECK(err == "its errors");
}

TEST_CASE("streams: threads that write at once lose nothing and mix no lines") {
  Collected kernel;
  constexpr int kEach = 2000;
  {
    std::vector<std::jthread> threads;
    for (const char* name : {"a", "b", "c"}) {
      threads.emplace_back([&kernel, name] {
        const Parent cell = parent(name);
        for (int i = 0; i < kEach; ++i) {
          kernel.publisher.write(0, name + std::to_string(i) + "\n", cell);
        }
      });
    }
  }
  kernel.publisher.flush();
  std::map<std::string, std::string> text, expected;
  for (const auto& publication : kernel.taken()) {
    text[publication.parent["msg_id"]] += publication.text();
  }
  for (const char* name : {"a", "b", "c"}) {
    for (int i = 0; i < kEach; ++i) expected[name] += name + std::to_string(i) + "\n";
  }
  CHECK(text == expected);
}

TEST_CASE("streams: a failing allocation loses no text") {
  Collected kernel;
  const Parent cell = parent("cell");
  kernel.publisher.write(0, std::string(300'000, 'x'), cell);
  {
    const testing::ShortOfMemory memory(200'000);
    CHECK_THROWS_AS(kernel.publisher.flush(), std::bad_alloc);
  }
  kernel.publisher.write(0, "y", cell);
  kernel.publisher.flush();
  const auto all = kernel.taken();
  REQUIRE(all.size() == 1);
  CHECK(all[0].text() == std::string(300'000, 'x') + "y");
}

TEST_CASE("descriptors: a character that comes in two pieces is one") {
  Descriptors descriptors;
  std::array<std::string, 4> read;
  descriptors.capture();
  say(1, "\xE2\x82");
  read[0] = descriptors.read(0);
  say(1, "\xAC.\xE2");
  read[1] = descriptors.read(0);
  read[2] = descriptors.give_up_tail(0);
  read[3] = descriptors.read(1);
  descriptors.restore();
  CHECK(read == std::array<std::string, 4>{"", "\u20AC.", "\uFFFD", ""});
}

TEST_CASE("descriptors: led back they are what they were") {
  std::array<int, 2> ends;
  REQUIRE(::pipe(ends.data()) == 0);
  const int before = ::dup(1);
  ::dup2(ends[1], 1);
  Descriptors descriptors;
  descriptors.capture();
  say(1, "caught");
  say(descriptors.original(0), "beside, ");
  const std::string caught = descriptors.read(0);
  descriptors.restore();
  say(1, "after");
  ::dup2(before, 1);
  ::close(before);
  ::close(ends[1]);
  std::string text(64, '\0');
  text.resize(static_cast<std::size_t>(::read(ends[0], text.data(), text.size())));
  ::close(ends[0]);
  CHECK(caught == "caught");
  CHECK(text == "beside, after");
  CHECK(descriptors.pipe(0) == -1);
}

TEST_CASE("descriptors: nothing is read without capture") {
  Descriptors descriptors;
  CHECK(descriptors.read(0).empty());
  descriptors.restore();
}

}  // namespace firn::kernel
