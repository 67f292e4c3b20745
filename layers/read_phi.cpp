#include "layers/read_phi.hpp"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <cmath>

#include "caffe/proto/caffe.pb.h"
#include "layers/host.hpp"
#include "layers/metaperturb_kernels.hpp"

namespace caffe {

using metaperturb::kPhiSize;

vector<double> ReadPhi(const string& file) {
  NetParameter net;
  BlobProto found;
  if (boost::algorithm::ends_with(file, ".binaryproto")) {
    metaperturb::ReadProto(file, false, &found);
  } else {
    metaperturb::ReadProto(file, boost::algorithm::ends_with(file, ".prototxt"), &net);
    const auto& layers = net.layer();
    const auto layer = std::find_if(layers.begin(), layers.end(), [](const LayerParameter& l) {
      return l.type() == "MetaPerturb" && l.blobs_size() > 0;
    });
    ENFORCE(layer != layers.end()) << file << ": holds no MetaPerturb layer with its phi";
    found = layer->blobs(0);
  }
  vector<double> phi(found.double_data().begin(), found.double_data().end());
  if (phi.empty()) phi.assign(found.data().begin(), found.data().end());
  ENFORCE(phi.size() == size_t{kPhiSize})
      << file << ": phi has " << phi.size() << " values where " << kPhiSize << " are expected";
  for (size_t i = 0; i < phi.size(); ++i) {
    ENFORCE(std::isfinite(phi[i])) << file << ": value " << i << " of phi is " << phi[i];
  }
  return phi;
}

}  // namespace caffe
