#include <doctest/doctest.h>

#include <cstdio>
#include <set>

#include <xeus/xkernel.hpp>

#include "support.hpp"
#include "wire.hpp"

namespace firn::kernel {
namespace {

using nlohmann::json;

// Messages of a front end, signed with its own Wire.
struct BothEnds {
  Wire ours{"a key", "hmac-sha256", "kernel"}, theirs{"a key", "hmac-sha256", "front end"};

  Frames frames(const std::string& type, std::string content = "{}") const {
    return theirs.encode({"identity"}, {.header = theirs.new_header(type),
                                        .parent = "{}",
                                        .metadata = "{}",
                                        .content = std::move(content),
                                        .buffers = {"one", std::string("\0\xFF", 2)}});
  }
};

// ISO 8601 in UTC, with six decimals.
bool is_a_time(const std::string& text) {
  int year, month, day, hour, minute, second, microsecond;
  char zone;
  return text.size() == std::string_view("2026-01-01T00:00:00.000000Z").size() &&
         std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%6d%c", &year, &month, &day, &hour,
                     &minute, &second, &microsecond, &zone) == 8 &&
         zone == 'Z';
}

constexpr std::size_t kSignature = 2, kHeader = 3, kContent = 6;  // places of frames

}  // namespace

TEST_CASE("wire: what is encoded is decoded") {
  BothEnds ends;
  const auto message = ends.ours.decode(ends.frames("execute_request", R"({"code": "1"})"));
  REQUIRE(message);
  CHECK(message->identities() == std::vector<std::string>{"identity"});
  CHECK(message->header()["msg_type"] == "execute_request");
  CHECK(message->header()["session"] == "front end");
  CHECK(message->content() == json{{"code", "1"}});
  REQUIRE(message->buffers().size() == 2);
  CHECK(message->buffers()[1].size() == 2);
}

TEST_CASE("wire: unsigned or wrongly signed or changed is refused") {
  BothEnds ends;
  for (const auto& damage : std::vector<std::function<void(Frames&)>>{
           [](Frames& f) { f[kSignature].clear(); },
           [](Frames& f) { f[kSignature] = std::string(64, '0'); },
           [](Frames& f) { f[kSignature].pop_back(); },
           [](Frames& f) { f[kContent] = R"({"code": "2"})"; },
           [](Frames& f) { f[kHeader] = "{}"; },
           [](Frames& f) { f.erase(f.begin() + 1); },
           [](Frames& f) { f.resize(kContent); },
           [](Frames& f) { f.clear(); },
       }) {
    Frames frames = ends.frames("execute_request", R"({"code": "1"})");
    damage(frames);
    CHECK_FALSE(ends.ours.decode(frames));
  }
  CHECK(ends.ours.decode(ends.frames("execute_request")));
}

TEST_CASE("wire: a replayed message is refused") {
  BothEnds ends;
  const Frames frames = ends.frames("execute_request");
  CHECK(ends.ours.decode(frames));
  CHECK_FALSE(ends.ours.decode(frames));
  Frames from_elsewhere = frames;
  from_elsewhere[0] = "another identity";
  CHECK_FALSE(ends.ours.decode(from_elsewhere));
  CHECK(ends.ours.decode(ends.frames("execute_request")));
}

TEST_CASE("wire: without a key nothing is signed and the same may come twice") {
  Wire open("", "hmac-sha256", "kernel");
  const Frames frames = open.encode({}, {.header = open.new_header("x"),
                                         .parent = "{}",
                                         .metadata = "{}",
                                         .content = "{}",
                                         .buffers = {}});
  CHECK(frames[1].empty());
  CHECK(open.decode(frames));
  CHECK(open.decode(frames));
}

TEST_CASE("wire: signed nonsense is refused") {
  BothEnds ends;
  const std::string deep(400, '['), too_deep(100'000, '['), deep_end(400, ']');
  CHECK(ends.ours.decode(ends.frames("x", R"({"a":)" + deep.substr(1) + deep_end.substr(1) + "}")));
  for (const std::string& content :
       {std::string(), std::string("[]"), std::string("not json"), std::string("{"),
        R"({"a":)" + too_deep, R"({"a":)" + deep + deep_end + "}"}) {
    CHECK_FALSE(ends.ours.decode(ends.frames("x", content)));
  }
  for (const std::string header : {"{}", R"({"msg_id":"1"})", R"({"msg_id":1,"msg_type":"x"})",
                                   R"({"msg_id":"1","msg_type":[]})"}) {
    CHECK_FALSE(ends.ours.decode(ends.theirs.encode(
        {}, {.header = header, .parent = "{}", .metadata = "{}", .content = "{}", .buffers = {}})));
  }
}

TEST_CASE("wire: ill-formed text in a message is repaired") {
  BothEnds ends;
  const auto message = ends.ours.decode(ends.frames("x", "{\"a\": \"\xFF\", \"b\": \"\\ud800\"}"));
  REQUIRE(message);
  CHECK(message->content() == json{{"a", "\uFFFD"}, {"b", "\uFFFD"}});
}

TEST_CASE("wire: headers are well-formed and ids unique") {
  const Wire wire("", "hmac-sha256", "kernel");
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const json header = json::parse(wire.new_header("odd \"\\\n type"));
    CHECK(header["msg_type"] == "odd \"\\\n type");
    CHECK(header["version"] == xeus::get_protocol_version());
    CHECK(is_a_time(header["date"]));
    ids.insert(header["msg_id"]);
  }
  CHECK(ids.size() == 100);
}

}  // namespace firn::kernel
