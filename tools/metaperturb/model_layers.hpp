#ifndef METAPERTURB_TOOLS_METAPERTURB_MODEL_LAYERS_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_MODEL_LAYERS_HPP_

#include <string>
#include <vector>

#include "tools/metaperturb/model_builder.hpp"

namespace metaperturb {

/// Builds a network layer by layer, from its Data layers on: each function appends what its name
/// says to a blob, and returns the result's name. Convolutions have no bias and start from He's
/// normal (fan out; depthwise ones fan in: Caffe's fan out counts all their channels).
class ModelLayers {
 public:
  ModelLayers(const std::string& name, const ModelOptions& options);

  /// A kernel of odd size, with the padding that keeps the image's size where stride is 1.
  std::string Convolution(const std::string& name, const std::string& bottom, int outputs,
                          int kernel, int stride, int group = 1);
  /// BatchNorm (NAME_bn) and Scale in place.
  std::string Normalise(const std::string& bottom);
  /// In place.
  std::string Relu(const std::string& blob);
  /// min(max(x, 0), 6), in place.
  std::string Relu6(const std::string& blob);
  /// Convolution, Normalise, Relu.
  std::string ConvolutionUnit(const std::string& name, const std::string& bottom, int outputs,
                              int kernel, int stride, int group = 1);
  /// Max pooling; a window that does not fit at the end is left out.
  std::string Pool(const std::string& name, const std::string& bottom, int kernel, int stride,
                   int pad = 0);
  /// Every second pixel, with as many zero channels again: a shortcut without weights.
  std::string ZeroPaddedShortcut(const std::string& name, const std::string& bottom);
  std::string Sum(const std::string& name, const std::string& a, const std::string& b);
  std::string AveragePool(const std::string& bottom);
  /// A fully connected layer with the classes, loss, and accuracy in TEST: the end.
  caffe::NetParameter Classify(const std::string& bottom);

 private:
  caffe::LayerParameter* Add(const std::string& name, const std::string& type,
                             const std::vector<std::string>& bottoms, const std::string& top);
  void AddData(caffe::Phase phase, const std::string& source, int batch);
  std::string MeanPrediction();

  ModelOptions options_;
  caffe::NetParameter net_;
};

}  // namespace metaperturb

#endif  // METAPERTURB_TOOLS_METAPERTURB_MODEL_LAYERS_HPP_
