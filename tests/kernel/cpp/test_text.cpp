#include <doctest/doctest.h>

#include <random>
#include <set>

#include "content.hpp"
#include "utf8.hpp"
#include "wire.hpp"

namespace firn::kernel {

using nlohmann::json;

TEST_CASE("utf8: what is ill-formed is replaced and the rest kept") {
  CHECK(valid_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80") == "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80");
  CHECK(valid_utf8("a\xFFz") == "a\uFFFDz");
  CHECK(valid_utf8("\xC0\xAF") == "\uFFFD\uFFFD");                      // overlong
  CHECK(valid_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");            // a surrogate
  CHECK(valid_utf8("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  CHECK(valid_utf8("\xE2\x82") == "\uFFFD");                            // begun: one replacement
  CHECK(valid_utf8("") == "");
}

TEST_CASE("utf8: a character whose rest has not come") {
  const std::string_view euro = "\xE2\x82\xAC", face = "\xF0\x9F\x98\x80";
  for (std::size_t n = 1; n < euro.size(); ++n) CHECK(unfinished_tail(euro.substr(0, n)) == n);
  for (std::size_t n = 1; n < face.size(); ++n) CHECK(unfinished_tail(face.substr(0, n)) == n);
  CHECK(unfinished_tail(euro) == 0);
  CHECK(unfinished_tail("x") == 0);
  CHECK(unfinished_tail("") == 0);
  CHECK(unfinished_tail("\xFF") == 0);  // nothing will finish it
  CHECK(unfinished_tail("\xE2\x28") == 0);
  CHECK(unfinished_tail("\x82\x82\x82") == 0);
}

TEST_CASE("utf8: only lone surrogates are replaced") {
  CHECK(without_lone_surrogates(R"("\ud83d\ude00")") == R"("\ud83d\ude00")");
  CHECK(without_lone_surrogates(R"("\ud83d")") == R"("\ufffd")");
  CHECK(without_lone_surrogates(R"("\ude00\ud83d")") == R"("\ufffd\ufffd")");
  CHECK(without_lone_surrogates(R"("\\ud83d \u0041")") == R"("\\ud83d \u0041")");
  CHECK(without_lone_surrogates(R"("\u12)") == R"("\u12)");
  CHECK(without_lone_surrogates("\\") == "\\");
}

TEST_CASE("wire: strings are written as the JSON library writes them") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    const auto length = random() % 40;
    for (unsigned i = 0; i < length; ++i) {
      // Many plain ones: eight at a time are looked at.
      text.push_back(static_cast<char>(random() % 3 == 0 ? random() % 0x80 : 'a' + random() % 26));
    }
    REQUIRE(json::parse(json_string(text)).get<std::string>() == text);
  }
  CHECK(json_string("\"\\\n\x01\x7F/\u00FC") == "\"\\\"\\\\\\n\\u0001\x7F/\u00FC\"");
}

TEST_CASE("wire: ill-formed text is no exception") {
  CHECK(to_text(json{{"a", "\xFF"}}) == "{\"a\":\"\uFFFD\"}");
}

TEST_CASE("content: what is missing or of a wrong type is named") {
  CHECK(complaint("execute_request", {{"code", "1"}}) == std::nullopt);
  CHECK(complaint("execute_request", json::object()) == "execute_request without 'code'");
  CHECK(complaint("execute_request", {{"code", nullptr}}) == "execute_request without 'code'");
  CHECK(complaint("execute_request", {{"code", 5}}) ==
        "execute_request with 'code' of type number");
  CHECK(complaint("complete_request", {{"code", ""}, {"cursor_pos", 1.5}}) ==
        "complete_request with 'cursor_pos' of type number");
  CHECK(complaint("comm_open", {{"comm_id", "c"}}) == "comm_open without 'target_name'");
  CHECK(complaint("comm_msg", json::object()) == "comm_msg without 'comm_id'");
  CHECK(complaint("delete_subshell_request", json::object()) ==
        "delete_subshell_request without 'subshell_id'");
  CHECK(
      complaint("history_request", {{"hist_access_type", "tale"}})->find("tail, range or search") !=
      std::string::npos);
  CHECK(complaint("kernel_info_request", {{"anything", 5}}) == std::nullopt);
}

TEST_CASE("content: the protocol's defaults and nothing of null") {
  CHECK(normalized("execute_request", {{"code", "1"}, {"silent", nullptr}}) ==
        json{{"code", "1"}, {"stop_on_error", true}});
  CHECK(normalized("execute_request", {{"stop_on_error", false}})["stop_on_error"] == false);
  const json history = normalized("history_request", {{"n", 3}});
  CHECK(history["n"] == 3);
  CHECK(history["hist_access_type"] == "tail");
  CHECK(normalized("shutdown_request", json::object()) == json{{"restart", false}});
}

TEST_CASE("content: an error reply is full") {
  const json content = error_content("Name", "value");
  CHECK(content == json{{"status", "error"},
                        {"ename", "Name"},
                        {"evalue", "value"},
                        {"traceback", json::array()}});
}

}  // namespace firn::kernel
