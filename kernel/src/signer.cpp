#include "signer.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdexcept>

namespace firn::kernel {

void Signer::Free::operator()(evp_mac_ctx_st* context) const { EVP_MAC_CTX_free(context); }

Signer::Signer(std::string_view key, std::string_view scheme) {
  if (key.empty()) return;
  constexpr std::string_view kPrefix = "hmac-";
  if (!scheme.starts_with(kPrefix)) {
    throw std::invalid_argument("the connection file's signature_scheme '" + std::string(scheme) +
                                "' is unknown; 'hmac-sha256' is the usual one");
  }
  std::string digest(scheme.substr(kPrefix.size()));
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  keyed_.reset(EVP_MAC_CTX_new(mac));
  EVP_MAC_free(mac);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  if (!keyed_ || !EVP_MAC_init(keyed_.get(), reinterpret_cast<const unsigned char*>(key.data()),
                               key.size(), parameters)) {
    throw std::invalid_argument("the connection file's signature_scheme '" + std::string(scheme) +
                                "' is unknown; 'hmac-sha256' is the usual one");
  }
}

std::string Signer::sign(std::span<const std::string_view> frames) const {
  if (!keyed_) return {};
  const std::unique_ptr<evp_mac_ctx_st, Free> context(EVP_MAC_CTX_dup(keyed_.get()));
  for (const std::string_view frame : frames) {
    EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(frame.data()),
                   frame.size());
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  EVP_MAC_final(context.get(), digest, &size, sizeof digest);
  constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (std::size_t i = 0; i < size; ++i) {
    hex.push_back(kHex[digest[i] >> 4]);
    hex.push_back(kHex[digest[i] & 15]);
  }
  return hex;
}

bool Signer::verify(std::string_view signature, std::span<const std::string_view> frames) const {
  if (!keyed_) return true;
  const std::string expected = sign(frames);
  return signature.size() == expected.size() &&
         CRYPTO_memcmp(signature.data(), expected.data(), expected.size()) == 0;
}

}  // namespace firn::kernel
