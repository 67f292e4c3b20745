// metaperturb evaluate: how good a trained network's predictions are, mean over noise samples.

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "caffe/net.hpp"
#include "caffe/util/db.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/svg_chart.hpp"
#include "util/error.hpp"
#include "util/prediction_scores.hpp"
#include "util/progress.hpp"

DEFINE_string(weights, "", "evaluate: the trained network (.caffemodel)");
DEFINE_int32(samples, 100, "evaluate: noise samples whose softmax is averaged");
DEFINE_int32(images, 0, "evaluate: images to evaluate, from the first; 0: all of the data layer's");
DEFINE_string(json, "", "evaluate: file for the numbers");
DECLARE_string(model);
DECLARE_string(output);
DECLARE_int64(seed);

namespace caffe {
namespace {

// The records of the first data layer's source; 0 for layers that have none.
int64_t CountImages(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "ImageData") {
      std::ifstream list(layer.image_data_param().source());
      int64_t count = 0;
      for (string line; std::getline(list, line);) count += !line.empty();
      return count;
    }
    if (layer.type() != "Data") continue;
    std::unique_ptr<db::DB> database(db::GetDB(layer.data_param().backend()));
    database->Open(layer.data_param().source(), db::READ);
    std::unique_ptr<db::Cursor> cursor(database->NewCursor());
    int64_t count = 0;
    for (cursor->SeekToFirst(); cursor->valid(); cursor->Next()) ++count;
    return count;
  }
  return 0;
}

// A network in TEST whose layers behind the data can be run again and again on one batch.
class Sampler {
 public:
  explicit Sampler(const NetParameter& param) : net_(param) {
    const int layers = static_cast<int>(net_.layers().size());
    while (sources_ < layers && net_.bottom_ids(sources_).empty()) ++sources_;
    ENFORCE(sources_ > 0) << "the net has no data layer in phase TEST";
    for (int i = layers - 1; i >= 0 && !scores_; --i) {
      const string type = net_.layers()[i]->type();
      if (type == "SoftmaxWithLoss" || type == "Softmax") scores_ = net_.bottom_vecs()[i][0];
    }
    ENFORCE(scores_) << "the net has no Softmax or SoftmaxWithLoss layer in phase TEST";
    for (int i = 0; i < sources_ && !labels_; ++i) {
      if (net_.top_vecs()[i].size() > 1) labels_ = net_.top_vecs()[i][1];
    }
    ENFORCE(labels_) << "no data layer has labels as its second top in phase TEST";
  }

  Net<float>& net() { return net_; }

  /// The next batch: its labels, and per sample the softmax of every image, classes_ values each.
  void Run(int samples, vector<int>* labels, vector<vector<double>>* probabilities) {
    net_.ForwardFromTo(0, sources_ - 1);
    labels->assign(labels_->cpu_data(), labels_->cpu_data() + labels_->count());
    Keep();
    probabilities->clear();
    while (static_cast<int>(probabilities->size()) < samples) {
      if (!probabilities->empty()) PutBack();
      net_.ForwardFrom(sources_);
      TakeSoftmax(static_cast<int>(labels->size()), probabilities);
    }
    probabilities->resize(samples);
  }
  int classes() const { return classes_; }

 private:
  // Layers may work in place on the data.
  void Keep() {
    size_t at = 0;
    for (int i = 0; i < sources_; ++i) {
      for (const Blob<float>* top : net_.top_vecs()[i]) {
        if (at == kept_.size()) kept_.emplace_back(new Blob<float>);
        kept_[at++]->CopyFrom(*top, false, true);
      }
    }
  }
  void PutBack() {
    size_t at = 0;
    for (int i = 0; i < sources_; ++i) {
      for (Blob<float>* top : net_.top_vecs()[i]) top->CopyFrom(*kept_[at++]);
    }
  }
  // Scores of k times as many rows as labels are k samples: the net repeats its images itself.
  void TakeSoftmax(int images, vector<vector<double>>* probabilities) {
    const int rows = scores_->shape(0);
    classes_ = scores_->count() / rows;
    ENFORCE(rows % images == 0) << rows << " rows of scores for " << images << " labels";
    const float* score = scores_->cpu_data();
    for (int row = 0; row < rows; ++row, score += classes_) {
      if (row % images == 0) probabilities->emplace_back();
      const double most = *std::max_element(score, score + classes_);
      double sum = 0;
      for (int c = 0; c < classes_; ++c) sum += std::exp(score[c] - most);
      for (int c = 0; c < classes_; ++c) {
        probabilities->back().push_back(std::exp(score[c] - most) / sum);
      }
    }
  }

  Net<float> net_;
  int sources_ = 0;  // leading layers that read data
  Blob<float>* scores_ = nullptr;
  Blob<float>* labels_ = nullptr;
  int classes_ = 0;
  vector<std::unique_ptr<Blob<float>>> kept_;
};

struct Evaluation {
  PredictionScores mean;             // of the mean softmax
  vector<PredictionScores> samples;  // of each sample alone
};

Evaluation Evaluate(Sampler* sampler, int samples, int64_t images) {
  Evaluation result;
  result.samples.resize(samples);
  Progress progress;
  progress.Start(0, static_cast<int>(images), 1);
  vector<int> labels;
  vector<vector<double>> probabilities;
  while (result.mean.count() < images) {
    sampler->Run(samples, &labels, &probabilities);
    const int classes = sampler->classes();
    vector<double> mean(classes);
    // Behind the last image, a data layer begins anew.
    for (size_t i = 0; i < labels.size() && result.mean.count() < images; ++i) {
      std::fill(mean.begin(), mean.end(), 0.0);
      for (int s = 0; s < samples; ++s) {
        const double* p = &probabilities[s][i * classes];
        result.samples[s].Add(p, classes, labels[i]);
        for (int c = 0; c < classes; ++c) mean[c] += p[c] / samples;
      }
      result.mean.Add(mean.data(), classes, labels[i]);
    }
    const int done = static_cast<int>(result.mean.count());
    if (progress.IsDue())
      LOG(INFO) << done << " of " << images << " images, " << progress.Line(done);
    progress.DrawBar(done);
  }
  progress.ClearBar();
  return result;
}

void MeanAndDeviation(const vector<PredictionScores>& samples, double* mean, double* deviation) {
  double sum = 0, squares = 0;
  for (const PredictionScores& sample : samples) sum += sample.accuracy();
  const double n = static_cast<double>(samples.size());
  *mean = sum / n;
  for (const PredictionScores& sample : samples) squares += std::pow(sample.accuracy() - *mean, 2);
  *deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
}

string Json(const Evaluation& evaluation) {
  double one, deviation;
  MeanAndDeviation(evaluation.samples, &one, &deviation);
  const PredictionScores& mean = evaluation.mean;
  ostringstream json;
  json << std::setprecision(9) << "{\"images\": " << mean.count()
       << ", \"samples\": " << evaluation.samples.size() << ", \"accuracy\": " << mean.accuracy()
       << ", \"accuracy_standard_error\": " << mean.accuracy_error()
       << ", \"one_sample_accuracy\": " << one
       << ", \"one_sample_accuracy_deviation\": " << deviation
       << ", \"negative_log_likelihood\": " << mean.negative_log_likelihood()
       << ", \"expected_calibration_error\": " << mean.calibration_error() << ", \"bins\": [";
  const char* comma = "";
  for (const PredictionScores::Bin& bin : mean.bins()) {
    json << comma << "{\"count\": " << bin.count << ", \"confidence\": " << bin.confidence
         << ", \"accuracy\": " << bin.accuracy << "}";
    comma = ", ";
  }
  json << "]}\n";
  return json.str();
}

string Table(const Evaluation& evaluation) {
  double one, deviation;
  MeanAndDeviation(evaluation.samples, &one, &deviation);
  const PredictionScores& mean = evaluation.mean;
  ostringstream table;
  table << std::fixed << std::setprecision(4) << mean.count() << " images, "
        << evaluation.samples.size() << " noise sample(s)\n"
        << "accuracy                    " << mean.accuracy() << " +- " << mean.accuracy_error()
        << " (standard error)\n"
        << "accuracy of one sample      " << one << " +- " << deviation
        << " (deviation over the samples)\n"
        << "negative log-likelihood     " << mean.negative_log_likelihood() << "\n"
        << "expected calibration error  " << mean.calibration_error() << "\n";
  return table.str();
}

void WriteText(const string& file, const string& text) {
  errno = 0;
  std::ofstream stream(file);
  stream << text;
  ENFORCE(stream.flush()) << file << ": cannot be written: " << std::strerror(errno);
}

string Page(const Evaluation& evaluation) {
  using metaperturb::EscapeXml;
  ostringstream page;
  page
      << "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'/><title>Evaluation</title>\n"
         "<style>body{font:14px sans-serif;color:#333;margin:2em}td,th{padding:2px 8px;"
         "text-align:right}svg{display:block}</style></head><body>\n<h1>Evaluation</h1>\n<p>"
      << EscapeXml(FLAGS_weights) << " in " << EscapeXml(FLAGS_model) << "</p>\n<pre>"
      << EscapeXml(Table(evaluation))
      << "</pre>\n<h2>Reliability</h2>\n<p>Of the images that are "
         "predicted with a confidence, the share that is predicted rightly.</p>\n";
  metaperturb::Series found = {"accuracy", {}}, ideal = {"calibrated", {{0, 0}, {100, 1}}};
  for (const PredictionScores::Bin& bin : evaluation.mean.bins()) {
    if (bin.count > 0) found.points.emplace_back(100 * bin.confidence, bin.accuracy);
  }
  metaperturb::WriteCharts(page, {{"Accuracy by confidence in %", {found, ideal}, true}});
  page << "<table><tr><th>confidence</th><th>images</th><th>mean confidence</th><th>accuracy</th>"
          "</tr>\n"
       << std::fixed << std::setprecision(3);
  const vector<PredictionScores::Bin> bins = evaluation.mean.bins();
  for (size_t b = 0; b < bins.size(); ++b) {
    const double width = 1.0 / static_cast<double>(bins.size());
    page << "<tr><td>" << width * static_cast<double>(b) << " to "
         << width * static_cast<double>(b + 1) << "</td><td>" << bins[b].count << "</td><td>"
         << bins[b].confidence << "</td><td>" << bins[b].accuracy << "</td></tr>\n";
  }
  page << "</table>\n</body></html>\n";
  return page.str();
}

}  // namespace
}  // namespace caffe

int RunEvaluate() {
  using namespace caffe;  // NOLINT
  ENFORCE(!FLAGS_model.empty()) << "--model is not given";
  ENFORCE(!FLAGS_weights.empty()) << "--weights is not given";
  ENFORCE(FLAGS_samples > 0) << "--samples=" << FLAGS_samples << ": must be above 0";
  ENFORCE(FLAGS_images >= 0) << "--images=" << FLAGS_images << ": must not be negative";
  NetParameter stated, param;
  ReadNetParamsFromTextFileOrDie(FLAGS_model, &stated);
  stated.mutable_state()->set_phase(TEST);
  Net<float>::FilterNet(stated, &param);
  Caffe::set_mode(Caffe::CPU);
  Caffe::set_random_seed(static_cast<unsigned int>(FLAGS_seed >= 0 ? FLAGS_seed : 1));
  Evaluation evaluation;
  try {
    Sampler sampler(param);
    sampler.net().CopyTrainedLayersFrom(FLAGS_weights);
    const int64_t all = CountImages(param);
    ENFORCE(FLAGS_images > 0 || all > 0)
        << "the data layer does not tell how many images it has; give --images";
    evaluation = Evaluate(&sampler, FLAGS_samples, FLAGS_images > 0 ? FLAGS_images : all);
  } catch (const Error& e) {
    throw Error(FLAGS_model + ": " + e.what());
  }
  std::cout << Table(evaluation) << std::flush;
  if (!FLAGS_json.empty()) WriteText(FLAGS_json, Json(evaluation));
  if (!FLAGS_output.empty()) WriteText(FLAGS_output, Page(evaluation));
  return 0;
}
