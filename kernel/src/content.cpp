#include "content.hpp"

#include <map>

#include "wire.hpp"

namespace firn::kernel {
namespace {

using Kind = nlohmann::json::value_t;

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> fields{
      {"code", Kind::string},
      {"silent", Kind::boolean},
      {"store_history", Kind::boolean},
      {"user_expressions", Kind::object},
      {"allow_stdin", Kind::boolean},
      {"stop_on_error", Kind::boolean},
      {"cursor_pos", Kind::number_integer},
      {"detail_level", Kind::number_integer},
      {"hist_access_type", Kind::string},
      {"output", Kind::boolean},
      {"raw", Kind::boolean},
      {"unique", Kind::boolean},
      {"session", Kind::number_integer},
      {"start", Kind::number_integer},
      {"stop", Kind::number_integer},
      {"n", Kind::number_integer},
      {"pattern", Kind::string},
      {"restart", Kind::boolean},
      {"comm_id", Kind::string},
      {"target_name", Kind::string},
      {"subshell_id", Kind::string},
  };
  return fields;
}

// What a request means without a field (messaging protocol, and IPython's own where it is silent).
const std::map<std::string, nlohmann::json>& defaults() {
  static const std::map<std::string, nlohmann::json> fields{
      {"execute_request", {{"stop_on_error", true}}},
      {"complete_request", {{"cursor_pos", -1}}},
      {"inspect_request", {{"cursor_pos", -1}, {"detail_level", 0}}},
      {"history_request",
       {{"hist_access_type", "tail"},
        {"n", 10},
        {"raw", true},
        {"output", false},
        {"session", 0},
        {"start", 1},
        {"stop", 0},
        {"pattern", "*"},
        {"unique", false}}},
      {"shutdown_request", {{"restart", false}}},
  };
  return fields;
}

bool is_a(const nlohmann::json& value, Kind kind) {
  if (kind == Kind::number_integer) return value.is_number_integer();
  return value.type() == kind;
}

bool is_required(const std::string& type, const std::string& field) {
  if (field == "code") {
    return type == "execute_request" || type == "complete_request" || type == "inspect_request" ||
           type == "is_complete_request";
  }
  if (field == "subshell_id") return type == "delete_subshell_request";
  if (field == "comm_id") return type == "comm_open" || type == "comm_msg" || type == "comm_close";
  return field == "target_name" && type == "comm_open";
}

}  // namespace

std::optional<std::string> complaint(const std::string& type, const nlohmann::json& content) {
  for (const auto& [field, kind] : kinds()) {
    const auto found = content.find(field);
    if (found == content.end() || found->is_null()) {
      if (is_required(type, field)) return type + " without '" + field + "'";
    } else if (!is_a(*found, kind)) {
      return type + " with '" + field + "' of type " + found->type_name();
    }
  }
  if (type == "history_request") {
    const auto way = content.value("hist_access_type", "tail");
    if (way != "tail" && way != "range" && way != "search") {
      return type + " with the 'hist_access_type' " + to_text(way) +
             ": it is tail, range or search";
    }
  }
  return std::nullopt;
}

nlohmann::json normalized(const std::string& type, nlohmann::json content) {
  for (auto field = content.begin(); field != content.end();) {
    field = field->is_null() ? content.erase(field) : std::next(field);
  }
  if (const auto found = defaults().find(type); found != defaults().end()) {
    for (const auto& [field, value] : found->second.items()) {
      if (!content.contains(field)) content[field] = value;
    }
  }
  return content;
}

nlohmann::json error_content(const std::string& name, const std::string& value) {
  return {{"status", "error"},
          {"ename", name},
          {"evalue", value},
          {"traceback", nlohmann::json::array()}};
}

}  // namespace firn::kernel
