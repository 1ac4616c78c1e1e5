#include <doctest/doctest.h>

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "murmur.hpp"
#include "replays.hpp"
#include "signer.hpp"

namespace firn::kernel {
namespace {

// RFC 4231, test case 2, in four pieces: a signature is that of the frames one after the other.
constexpr std::array<std::string_view, 4> kData{"what do ", "ya want", "", " for nothing?"};
constexpr const char* kDigest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

}  // namespace

TEST_CASE("signer: signs as RFC 4231 says") {
  const Signer signer("Jefe", "hmac-sha256");
  CHECK(signer.signs());
  CHECK(signer.sign(kData) == kDigest);
  CHECK(signer.sign(kData) == kDigest);  // the key is still there
  CHECK(signer.verify(kDigest, kData));
}

TEST_CASE("signer: a wrong or short or missing signature is refused") {
  const Signer signer("Jefe", "hmac-sha256");
  std::string wrong = kDigest;
  wrong.back() ^= 1;
  CHECK_FALSE(signer.verify(wrong, kData));
  CHECK_FALSE(signer.verify(std::string(kDigest).substr(0, 63), kData));
  CHECK_FALSE(signer.verify(std::string(kDigest) + "0", kData));
  CHECK_FALSE(signer.verify("", kData));
  CHECK_FALSE(Signer("jefe", "hmac-sha256").verify(kDigest, kData));
}

TEST_CASE("signer: another digest and another frame") {
  const Signer longer("Jefe", "hmac-sha512");
  CHECK(longer.sign(kData).size() == 128);
  constexpr std::array<std::string_view, 4> moved{"what do ", "ya want", " for nothing", "?"};
  CHECK(longer.verify(longer.sign(kData), moved));  // as the protocol has it: no frame's length
  constexpr std::array<std::string_view, 4> other{"what do ", "ya want", "", " for nothing!"};
  CHECK_FALSE(longer.verify(longer.sign(kData), other));
}

TEST_CASE("signer: an empty key turns signing off") {
  const Signer signer("", "hmac-sha256");
  CHECK_FALSE(signer.signs());
  CHECK(signer.sign(kData).empty());
  CHECK(signer.verify("anything", kData));
}

TEST_CASE("signer: an unknown scheme is named") {
  CHECK_THROWS_WITH_AS(Signer("key", "hmac-sha257"), doctest::Contains("hmac-sha257"),
                       std::invalid_argument);
  CHECK_THROWS_AS(Signer("key", "sha256"), std::invalid_argument);
}

TEST_CASE("signer: several threads at once") {
  const Signer signer("Jefe", "hmac-sha256");
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 500; ++k) wrong += signer.sign(kData) != kDigest;
      });
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("replays: a signature is first only once until it is forgotten") {
  Replays replays;
  CHECK(replays.is_first("the first"));
  CHECK_FALSE(replays.is_first("the first"));
  for (std::size_t i = 1; i < Replays::kRemembered; ++i) {
    REQUIRE(replays.is_first(std::to_string(i)));
  }
  CHECK_FALSE(replays.is_first("the first"));  // as many as are remembered
  CHECK(replays.is_first("one more"));
  CHECK(replays.is_first("the first"));
  CHECK_FALSE(replays.is_first("one more"));
}

TEST_CASE("murmur: as ipykernel names cells") {
  constexpr std::uint32_t kSeed = 0xc70f6907;
  CHECK(murmur2("", kSeed) == 0xedd39288);
  CHECK(murmur2("a", kSeed) == 0x8129eeee);
  CHECK(murmur2("ab", kSeed) == 0xa73301b9);
  CHECK(murmur2("abc", kSeed) == 0xc7bbdbb5);
  CHECK(murmur2("abcd", kSeed) == 0x2ff70f61);
  CHECK(murmur2("print(1)", kSeed) == 0xe0f1e860);
}

}  // namespace firn::kernel
