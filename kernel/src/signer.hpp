#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

struct evp_mac_ctx_st;

namespace firn::kernel {

// Signs the four JSON frames of a message (messaging protocol, "The wire protocol"). An empty key
// turns signing off, as the protocol says. Any thread may call sign() and verify().
class Signer {
 public:
  // scheme: "hmac-sha256" or another digest that OpenSSL knows; throws std::invalid_argument.
  Signer(std::string_view key, std::string_view scheme);

  bool signs() const { return keyed_ != nullptr; }
  std::string sign(std::span<const std::string_view> frames) const;
  bool verify(std::string_view signature, std::span<const std::string_view> frames) const;

 private:
  struct Free {
    void operator()(evp_mac_ctx_st* context) const;
  };
  // Holds the key's two hashed pads; every signature starts from a copy.
  std::unique_ptr<evp_mac_ctx_st, Free> keyed_;
};

}  // namespace firn::kernel
