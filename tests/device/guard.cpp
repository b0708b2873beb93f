// What torch asks of CUDA during a backward pass, answered without a GPU: there is one device, it has
// one stream, and nothing has to wait. Loaded before torch, which keeps the first hooks that it meets.
#include <memory>

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::Stream;

const Device ONLY(DeviceType::CUDA, 0);

struct Hooks : at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  bool hasPrimaryContext(DeviceIndex) const override { return false; }
};

struct Guard final : c10::impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  Device exchangeDevice(Device) const override { return ONLY; }
  Device getDevice() const override { return ONLY; }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, ONLY); }
  Stream exchangeStream(Stream) const noexcept override { return Stream(Stream::DEFAULT, ONLY); }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
};

// A CUDA build of torch, loaded after this, leaves hooks of a higher priority in place, and says so on
// stderr.
[[gnu::constructor]] void install_hooks() {
  const auto make = [](at::CUDAHooksArgs arguments) { return std::make_unique<Hooks>(arguments); };
  at::CUDAHooksRegistry()->Register("CUDAHooks", make, c10::REGISTRY_PREFERRED);
}

}  // namespace

// The guard, in contrast, is replaced by a CUDA build that is loaded later: to be called after torch is
// imported.
extern "C" void install_guard() {
  static const Guard* guard = new Guard();
  c10::impl::device_guard_impl_registry[static_cast<size_t>(DeviceType::CUDA)].store(guard);
}
