#include "heap/transfer.hpp"

namespace firn::heap {

Transfer::Transfer(std::unique_ptr<TransferSegment> segment) : segment_(std::move(segment)) {}
Transfer::Transfer(Transfer&& other) noexcept = default;
Transfer& Transfer::operator=(Transfer&& other) noexcept = default;
Transfer::~Transfer() = default;

Figures Transfer::figures() const { return segment_->figures; }

}  // namespace firn::heap
