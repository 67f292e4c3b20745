#include "tools/metaperturb/shipped_phi.hpp"

#include <filesystem>

#include "util/error.hpp"

namespace metaperturb {

namespace fs = std::filesystem;

std::string ShippedPhi() {
  const std::string name = "tiny_imagenet_resnet20.caffemodel";
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed =
      (program.parent_path() / METAPERTURB_TO_DATA / "metaperturb" / "phi" / name)
          .lexically_normal();
  const fs::path built = fs::path(METAPERTURB_SOURCE_DIR) / "models" / "phi" / name;
  for (const fs::path& place : {installed, built}) {
    if (fs::exists(place, error)) return place.string();
  }
  throw caffe::Error("the phi that comes with the project is neither " + installed.string() +
                     " nor " + built.string() + "; give --phi");
}

}  // namespace metaperturb
