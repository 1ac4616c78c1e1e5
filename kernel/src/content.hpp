#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace firn::kernel {

// xeus reads the fields of a request without looking at their types, and an exception there would
// leave a request without reply or idle. These two run before it sees the request.

// Says which field is missing or wrong, or nothing.
std::optional<std::string> complaint(const std::string& type, const nlohmann::json& content);

// The content as xeus should read it: fields that are null are left out, and those that are missing
// have the protocol's defaults (xeus's own stop_on_error is false, and others it demands).
nlohmann::json normalized(const std::string& type, nlohmann::json content);

// The content of an error reply.
nlohmann::json error_content(const std::string& name, const std::string& value);

}  // namespace firn::kernel
