// metaperturb evaluate: how good a trained network's predictions are, mean over noise samples.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "caffe/net.hpp"
#include "caffe/util/upgrade_proto.hpp"
#ifndef METAPERTURB_FOREIGN_HOST
#include "tools/common/use_device.hpp"
#endif
#include "tools/metaperturb/commands.hpp"
#include "tools/metaperturb/noise_sampler.hpp"
#include "tools/metaperturb/perturbation_scores.hpp"
#include "tools/metaperturb/pgd_attack.hpp"
#include "tools/metaperturb/record_count.hpp"
#include "tools/metaperturb/svg_chart.hpp"
#include "util/atomic_file.hpp"
#include "util/error.hpp"
#include "util/json_text.hpp"
#include "util/prediction_scores.hpp"
#include "util/progress.hpp"

DEFINE_string(weights, "", "The trained network (.caffemodel)");
DEFINE_int32(samples, 100, "Noise samples whose softmax is averaged; one where there is no noise");
DEFINE_int32(images, 0, "Images to evaluate, from the first; 0: all of the data layer's");
DEFINE_string(json, "", "File for the numbers");
DEFINE_string(epsilon, "",
              "Radii of attacks by projected gradient descent, in pixel values of 255, "
              "separated by commas");
DEFINE_string(norm, "inf", "Norm of the attacks, inf or 2");
DEFINE_int32(attack_steps, 20, "Steps of an attack");
DEFINE_int32(attack_samples, 5, "Noise samples whose mean gradient an attack follows");
DECLARE_string(model);
DECLARE_string(output);
DECLARE_int64(seed);

namespace caffe {
namespace {

// The records of the first data layer's source; 0 for layers that have none.
int64_t CountImages(const NetParameter& net) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.type() == "ImageData") {
      const string& source = layer.image_data_param().source();
      std::ifstream list(source);
      ENFORCE(list.good()) << source << ": cannot be opened";
      int64_t count = 0;
      for (string line; std::getline(list, line);) {
        count += line.find_first_not_of(" \t\r") != string::npos;
      }
      return count;
    }
    if (layer.type() != "Data") continue;
    return metaperturb::CountRecords(layer.data_param().source(), layer.data_param().backend());
  }
  return 0;
}

struct Evaluation {
  PredictionScores mean;                                // of the mean softmax
  vector<PredictionScores> samples;                     // of each sample alone
  vector<std::pair<double, PredictionScores>> attacks;  // radius, and mean under the attack
  int attack_samples = 1;                               // whose mean gradient they followed
  metaperturb::PerturbationScores perturbation;
};

// With `attack`, of the images that it makes.
Evaluation Evaluate(metaperturb::NoiseSampler* sampler, int samples, int64_t images,
                    metaperturb::PgdAttack* attack = nullptr,
                    const metaperturb::PgdOptions& options = {}) {
  Evaluation result;
  result.samples.resize(samples);
  Progress progress;
  progress.Start(0, static_cast<int>(images), 1);
  vector<vector<double>> probabilities;
  for (int64_t batch = 0; result.mean.count() < images; ++batch) {
    const vector<int> labels = sampler->NextBatch();
    if (attack) attack->Run(options, batch);
    sampler->Sample(samples, &probabilities, batch == 0);
    if (static_cast<int>(probabilities.size()) < samples) {
      LOG(INFO) << "The network has no noise in phase TEST: one sample in place of " << samples;
      samples = 1;
      result.samples.resize(1);
    }
    result.perturbation.Add(sampler->net());
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
  json << "], \"metaperturb\": [";
  comma = "";
  for (const auto& layer : evaluation.perturbation.layers()) {
    json << comma << "{\"layer\": " << caffe::JsonQuoted(layer.name)
         << ", \"noise_mean\": " << layer.noise_mean
         << ", \"noise_deviation\": " << layer.noise_deviation
         << ", \"scale_mean\": " << layer.scale_mean
         << ", \"scale_deviation\": " << layer.scale_deviation << "}";
    comma = ", ";
  }
  json << "]";
  if (!evaluation.attacks.empty()) {
    json << ", \"norm\": \"" << FLAGS_norm << "\", \"attack_steps\": " << FLAGS_attack_steps
         << ", \"attack_samples\": " << evaluation.attack_samples << ", \"attacks\": [";
    comma = "";
    for (const auto& attack : evaluation.attacks) {
      json << comma << "{\"epsilon\": " << attack.first
           << ", \"accuracy\": " << attack.second.accuracy()
           << ", \"accuracy_standard_error\": " << attack.second.accuracy_error() << "}";
      comma = ", ";
    }
    json << "]";
  }
  json << "}\n";
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
  for (const auto& attack : evaluation.attacks) {
    table << "accuracy under attack       " << attack.second.accuracy() << " +- "
          << attack.second.accuracy_error() << " (norm " << FLAGS_norm << ", epsilon "
          << std::defaultfloat << attack.first << std::fixed << " of 255)\n";
  }
  const auto layers = evaluation.perturbation.layers();
  size_t width = 0;
  for (const auto& layer : layers) width = std::max(width, layer.name.size());
  for (const auto& layer : layers) {
    table << "perturbation in " << std::left << std::setw(static_cast<int>(width)) << layer.name
          << std::right << "  noise " << layer.noise_mean << " +- " << layer.noise_deviation
          << ", scale " << layer.scale_mean << " +- " << layer.scale_deviation << "\n";
  }
  return table.str();
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
  metaperturb::WriteCharts(page, {{"Accuracy", {found, ideal}, true, "confidence, %"}});
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
  page << "</table>\n";
  if (!evaluation.attacks.empty()) {
    metaperturb::Series robust = {"accuracy", {{0, evaluation.mean.accuracy()}}};
    for (const auto& attack : evaluation.attacks) {
      robust.points.emplace_back(attack.first, attack.second.accuracy());
    }
    page << "<h2>Robustness</h2>\n<p>Projected gradient descent in the norm " << FLAGS_norm << ", "
         << FLAGS_attack_steps << " steps, mean gradient of " << evaluation.attack_samples
         << " noise sample(s).</p>\n";
    metaperturb::WriteCharts(page, {{"Accuracy", {robust}, true, "radius, of 255"}});
  }
  page << "</body></html>\n";
  return page.str();
}

vector<double> Radii() {
  vector<double> radii;
  std::istringstream list(FLAGS_epsilon);
  for (string item; std::getline(list, item, ',');) {
    char* end = nullptr;
    radii.push_back(std::strtod(item.c_str(), &end));
    ENFORCE(!item.empty() && *end == '\0' && radii.back() > 0 && std::isfinite(radii.back()))
        << "--epsilon=" << FLAGS_epsilon << ": '" << item << "' is no positive number";
  }
  return radii;
}

Evaluation EvaluateAll(NetParameter param) {
  const vector<double> radii = Radii();
  ENFORCE(radii.empty() || FLAGS_norm == "inf" || FLAGS_norm == "2")
      << "--norm=" << FLAGS_norm << ": inf or 2";
  ENFORCE(FLAGS_attack_steps > 0) << "--attack_steps=" << FLAGS_attack_steps << ": must be above 0";
  ENFORCE(FLAGS_attack_samples > 0)
      << "--attack_samples=" << FLAGS_attack_samples << ": must be above 0";
  const int64_t all = CountImages(param);
  ENFORCE(FLAGS_images > 0 || all > 0)
      << "the data layer does not tell how many images it has; give --images";
  ENFORCE(all == 0 || FLAGS_images <= all)
      << "--images=" << FLAGS_images << ": the data layer has " << all;
  const int64_t images = FLAGS_images > 0 ? FLAGS_images : all;
  const int64_t seed = FLAGS_seed >= 0 ? FLAGS_seed : 1;
  if (!radii.empty()) {
    param.set_force_backward(true);
    for (int i = param.layer_size() - 1; i >= 0; --i) {  // which has no gradient
      if (param.layer(i).type() == "Accuracy") param.mutable_layer()->DeleteSubrange(i, 1);
    }
  }
  Evaluation result;
  int samples = FLAGS_samples;
  for (size_t i = 0; i <= radii.size(); ++i) {
    // Anew each time, for the same images and noise.
    Caffe::set_random_seed(static_cast<unsigned int>(seed));
    metaperturb::NoiseSampler sampler(param);
    sampler.net().CopyTrainedLayersFrom(FLAGS_weights);
    if (i == 0) {
      result = Evaluate(&sampler, FLAGS_samples, images);
      samples = static_cast<int>(result.samples.size());
      continue;
    }
    metaperturb::PgdOptions options;
    options.infinity_norm = FLAGS_norm == "inf";
    options.epsilon = radii[i - 1];
    options.steps = FLAGS_attack_steps;
    options.samples = result.attack_samples = samples == FLAGS_samples ? FLAGS_attack_samples : 1;
    options.seed = static_cast<uint64_t>(seed);
    metaperturb::PgdAttack attack(param, &sampler);
    LOG(INFO) << "Attack with radius " << options.epsilon << " of 255";
    result.attacks.emplace_back(options.epsilon,
                                Evaluate(&sampler, samples, images, &attack, options).mean);
  }
  return result;
}

}  // namespace
}  // namespace caffe

int RunEvaluate() {
  using namespace caffe;  // NOLINT
  ENFORCE(!FLAGS_model.empty()) << "--model is not given";
  ENFORCE(!FLAGS_weights.empty()) << "--weights is not given";
  const int kMostSamples = 100000;  // each has its scores in memory
  ENFORCE(FLAGS_samples > 0 && FLAGS_samples <= kMostSamples)
      << "--samples=" << FLAGS_samples << ": must lie between 1 and " << kMostSamples;
  ENFORCE(FLAGS_images >= 0) << "--images=" << FLAGS_images << ": must not be negative";
  // Attacks may take hours: what cannot be written is to be found before them.
  if (!FLAGS_json.empty()) CheckWritable(FLAGS_json);
  if (!FLAGS_output.empty()) CheckWritable(FLAGS_output);
  NetParameter stated, param;
  ReadNetParamsFromTextFileOrDie(FLAGS_model, &stated);
  stated.mutable_state()->set_phase(TEST);
  Net<float>::FilterNet(stated, &param);
#ifdef METAPERTURB_FOREIGN_HOST
  Caffe::set_mode(Caffe::CPU);
#else
  UseDevice();
#endif
  Evaluation evaluation;
  try {
    evaluation = EvaluateAll(param);
  } catch (const Error& e) {
    throw Error(FLAGS_model + ": " + e.what());
  }
  std::cout << Table(evaluation) << std::flush;
  if (!FLAGS_json.empty()) caffe::WriteFile(FLAGS_json, Json(evaluation));
  if (!FLAGS_output.empty()) caffe::WriteFile(FLAGS_output, Page(evaluation));
  return 0;
}
