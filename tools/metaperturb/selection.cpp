#include "tools/metaperturb/selection.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "caffe/util/io.hpp"
#include "caffe/util/upgrade_proto.hpp"
#include "solvers/host.hpp"
#include "util/atomic_file.hpp"
#include "util/checksum.hpp"
#include "util/error.hpp"
#include "util/metrics_log.hpp"

DECLARE_string(select_on);

using namespace caffe;  // NOLINT

namespace {

string PhiFile(const MetaSolverParameter& run) {
  return run.snapshot_prefix() + "_phi_iter_" + std::to_string(run.max_iter()) + ".caffemodel";
}

// "accuracy 1 0.75": name, whether more is better, value (also "nan" and "inf", which >> would not
// read).
bool Parse(std::istream* stream, PhiScore* score) {
  string value;
  if (!(*stream >> score->name >> score->rises >> value)) return false;
  char* end = nullptr;
  score->value = std::strtod(value.c_str(), &end);
  return *end == '\0';
}

string Format(const PhiScore& score) {
  ostringstream text;
  text.precision(9);
  text << score.name << ' ' << score.rises << ' ' << score.value << '\n';
  return text.str();
}

// What a score is of: the phi file's checksum and that of the target's solver and net.
string KeyOf(const SolverParameter& target, const string& phi_file) {
  return std::to_string(FileCrc32(phi_file)) + ' ' + std::to_string(MessageCrc32(target));
}

// "accuracy 1 0.75", then the key in a line of its own.
bool ReadKept(const string& file, const string& key, PhiScore* score) {
  std::ifstream stream(file);
  string found;
  return Parse(&stream, score) && std::getline(stream >> std::ws, found) && found == key;
}

// Text for AllGather: a line "INDEX SCORE" per run that this process scored.
string ScoreMine(const MetaSolverParameter& param, int count, const SolverParameter& target,
                 bool resume, const ProcessGroup& group, const ActionCallback& action) {
  string lines;
  for (int i = group.rank(); i < count; i += group.size()) {
    const MetaSolverParameter run = RunOf(param, i, count);
    const string kept = run.snapshot_prefix() + ".score";
    const string key = KeyOf(target, PhiFile(run));
    PhiScore score;
    if (!resume || !ReadKept(kept, key, &score)) {
      LOG(INFO) << "Run " << i << ": training the target with " << PhiFile(run);
      bool stopped = false;
      Within(FLAGS_select_on, [&] { score = ScorePhi(target, PhiFile(run), action, &stopped); });
      if (stopped) break;
      WriteFile(kept, Format(score) + key + '\n');
    }
    lines += std::to_string(i) + ' ' + Format(score);
  }
  return lines;
}

}  // namespace

MetaSolverParameter RunOf(const MetaSolverParameter& param, int index, int count) {
  if (count == 1) return param;
  const string name = "_run" + std::to_string(index);
  MetaSolverParameter run = param;
  run.set_snapshot_prefix(param.snapshot_prefix() + name);
  run.set_random_seed(param.random_seed() + index);
  if (!param.csv().empty()) {
    std::filesystem::path csv = param.csv();
    run.set_csv(csv.replace_filename(csv.stem().string() + name + csv.extension().string()));
  }
  if (!param.tensorboard().empty()) run.set_tensorboard(param.tensorboard() + "/" + name.substr(1));
  return run;
}

bool SelectRun(const MetaSolverParameter& param, int count, const SolverParameter& target,
               bool resume, ProcessGroup* group, const ActionCallback& action) {
  string mine;
  group->Together([&] { mine = ScoreMine(param, count, target, resume, *group, action); });
  std::map<int, PhiScore> scores;
  for (const string& text : group->AllGather(mine)) {
    std::istringstream stream(text);
    PhiScore score;
    for (int i; stream >> i && Parse(&stream, &score);) scores[i] = score;
  }
  if (static_cast<int>(scores.size()) < count) return false;

  int best = 0;
  ostringstream table;
  table << "run,seed," << scores[0].name << ",phi\n";
  for (const auto& entry : scores) {
    const MetaSolverParameter run = RunOf(param, entry.first, count);
    const PhiScore& score = entry.second;
    LOG(INFO) << "Run " << entry.first << " (random seed " << run.random_seed()
              << "): " << score.name << " on the target = " << score.value;
    table << entry.first << ',' << run.random_seed() << ',' << score.value << ','
          << CsvQuoted(PhiFile(run)) << '\n';
    if (score.IsBetterThan(scores[best])) best = entry.first;
  }
  group->Together([&] {
    ENFORCE(std::isfinite(scores[best].value))
        << FLAGS_select_on << ": its " << scores[best].name << " is not finite with any phi";
    if (group->rank() != 0) return;
    const string prefix = param.snapshot_prefix();
    NetParameter phi;
    ReadNetParamsFromBinaryFileOrDie(PhiFile(RunOf(param, best, count)), &phi);
    WriteFile(prefix + "_selection.csv", table.str());
    WriteProtoToBinaryFile(phi, prefix + "_phi.caffemodel");
    LOG(INFO) << "Chosen: run " << best << "; its phi is in " << prefix << "_phi.caffemodel";
  });
  return true;
}
