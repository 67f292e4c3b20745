#include "bench/common.hpp"

#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <random>

#include "caffe/layers/memory_data_layer.hpp"
#include "layers/insert_metaperturb.hpp"
#include "tools/metaperturb/model_builder.hpp"
#include "util/json_text.hpp"
#include "util/threads.hpp"

namespace metaperturb {
namespace bench {

namespace {

std::string Number(double value) {
  char text[32];
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  std::snprintf(text, sizeof text, whole ? "%.0f" : "%.6g", value);
  return text;
}

}  // namespace

double Median(std::vector<double> values) {
  ENFORCE(!values.empty()) << "no measurements";
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

int Threads() {
  return omp_get_max_threads();
}

double PeakMemory() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void JsonLine::AddRaw(const std::string& name, const std::string& json) {
  text_ += (text_.empty() ? "" : ", ") + caffe::JsonQuoted(name) + ": " + json;
}

JsonLine& JsonLine::Add(const std::string& name, const std::string& value) {
  AddRaw(name, caffe::JsonQuoted(value));
  return *this;
}

JsonLine& JsonLine::Add(const std::string& name, const char* value) {
  return Add(name, std::string(value));
}

JsonLine& JsonLine::Add(const std::string& name, double value) {
  AddRaw(name, Number(value));
  return *this;
}

JsonLine& JsonLine::Add(const std::string& name, const std::vector<double>& values) {
  std::string list;
  for (const double value : values) list += (list.empty() ? "" : ", ") + Number(value);
  AddRaw(name, "[" + list + "]");
  return *this;
}

JsonLine& JsonLine::Add(const std::string& name, const std::map<std::string, double>& values) {
  JsonLine inner;
  for (const auto& entry : values) inner.Add(entry.first, entry.second);
  AddRaw(name, "{" + inner.text_ + "}");
  return *this;
}

void JsonLine::Print() const {
  std::cout << "{" << text_ << "}" << std::endl;
}

void Serve(bool on_request, const std::function<void()>& measure) {
  if (!on_request) return measure();
  for (std::string line; std::getline(std::cin, line);) measure();
}

caffe::NetParameter TrainingModel(const std::string& name, bool mp, bool shared_phi, int batch,
                                  int crop, const std::string& source) {
  ENFORCE(batch > 1) << "--batch=" << batch << ": must be at least 2";
  ModelOptions options;
  options.batch = batch;
  options.crop = crop;
  if (!source.empty()) options.train_source = source;
  caffe::NetParameter net = BuildModel(name, options);
  if (source.empty()) {
    for (caffe::LayerParameter& layer : *net.mutable_layer()) {
      if (layer.type() != "Data") continue;
      layer.set_type("MemoryData");
      layer.clear_data_param();
      layer.clear_transform_param();
      caffe::MemoryDataParameter* data = layer.mutable_memory_data_param();
      data->set_batch_size(batch);
      data->set_channels(3);
      data->set_height(crop);
      data->set_width(crop);
    }
  }
  if (mp) {
    InsertOptions insert;
    insert.shared = shared_phi;
    insert.param.set_spatial_norm_factor(static_cast<float>(crop));
    caffe::NetParameter with;
    InsertMetaPerturb(net, insert, &with);
    net = with;
  }
  return net;
}

SyntheticData::SyntheticData(int batch, int size, int classes) : images_(batch * size) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& value : images_) value = normal(random);
  for (int i = 0; i < batch; ++i) labels_.push_back(static_cast<float>(random() % classes));
}

void SyntheticData::Feed(caffe::Net<float>* net) {
  for (const auto& layer : net->layers()) {
    auto* data = dynamic_cast<caffe::MemoryDataLayer<float>*>(layer.get());
    if (data) data->Reset(images_.data(), labels_.data(), static_cast<int>(labels_.size()));
  }
}

int Main(int argc, char** argv, const char* usage, const std::function<void()>& run) {
  caffe::ConfigureThreads(argv);
  try {
    gflags::SetUsageMessage(usage);
    caffe::GlobalInit(&argc, &argv);
    FLAGS_minloglevel = google::GLOG_WARNING;  // the report is all that is printed
    ENFORCE(argc == 1) << "unexpected argument '" << argv[1] << "'";
    run();
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "ERROR: " << e.what() << std::endl;
    return 1;
  }
}

}  // namespace bench
}  // namespace metaperturb
