#include "tools/convert_dataset/convert_part.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <opencv2/imgcodecs.hpp>

#include "caffe/common.hpp"
#include "caffe/util/format.hpp"
#include "caffe/util/io.hpp"
#include "tools/common/dataset_writer.hpp"
#include "tools/common/lmdb_writer.hpp"
#include "util/progress.hpp"
#include "util/threads.hpp"
#include "util/workers.hpp"

namespace metaperturb {

using std::string;
using std::vector;

namespace {

const size_t kChunk = 256;  // images that are decoded while as many are read and written

// An image on its way: from bytes of a file, or its number in an array, to a record.
struct Job {
  int position = 0;  // in the LMDB
  string bytes;
  string record;
};

class Converter {
 public:
  Converter(const FileSet& files, const Dataset& set, const Part& part, const vector<int>& chosen,
            const vector<int>& label, const ImageSettings& settings, const string& output)
      : files_(files),
        set_(set),
        part_(part),
        chosen_(chosen),
        label_(label),
        settings_(settings),
        output_(output),
        writer_(output),
        workers_(caffe::AvailableCpus(), 1, false) {}

  void Run() {
    progress_.Start(0, static_cast<int>(chosen_.size()), 1);
    if (part_.files.empty()) {
      for (int i = 0; i < static_cast<int>(chosen_.size()); ++i) Take({i, "", ""});
    } else {
      vector<string> paths;
      for (const int i : chosen_) paths.push_back(part_.files[i]);
      files_.ReadAll(paths, [&](int i, string bytes) { Take({i, std::move(bytes), ""}); });
    }
    Exchange();
    Exchange();
    CHECK_EQ(written_, chosen_.size());
    writer_.Finish();
    progress_.ClearBar();
  }

 private:
  void Take(Job job) {
    gathered_.push_back(std::move(job));
    if (gathered_.size() >= kChunk) Exchange();
  }

  // The gathered images go to the workers; what these have finished goes to the LMDB meanwhile.
  void Exchange() {
    vector<Job> finished;
    if (decoding_.valid()) finished = decoding_.get();
    if (!gathered_.empty()) {
      decoding_ = std::async(std::launch::async, [this, jobs = std::move(gathered_)]() mutable {
        std::atomic<size_t> next{0};
        workers_.Run([&](int) {
          for (size_t i; (i = next++) < jobs.size();) Decode(&jobs[i]);
        });
        return std::move(jobs);
      });
      gathered_.clear();
    }
    for (const Job& job : finished) {
      writer_.Put(caffe::format_int(job.position, 8), job.record);
      ++written_;
    }
    Report();
  }

  void Report() {
    const size_t kEvery = 10000;
    progress_.DrawBar(static_cast<int>(written_));
    const bool last = written_ == chosen_.size() && reported_ < written_;
    if (!last && written_ / kEvery == reported_ / kEvery && !progress_.IsDue()) return;
    if (written_ == 0) return;
    reported_ = written_;
    progress_.ClearBar();
    progress_.Printed();
    LOG(INFO) << output_ << ": Processed " << written_ << " of " << chosen_.size() << " files. "
              << progress_.Line(static_cast<int>(written_));
  }

  void Decode(Job* job) const {
    caffe::Datum datum;
    const int index = chosen_[job->position];
    if (part_.files.empty()) {
      datum = part_.array(index);
      if (settings_.color && datum.channels() == 1) {
        const string plane = datum.data();
        datum.set_data(plane + plane + plane);
        datum.set_channels(3);
      }
      Resize(settings_.size, &datum);
    } else {
      FromFile(part_.files[index], job->bytes, &datum);
      string().swap(job->bytes);
    }
    Pad(settings_.pad, &datum);
    datum.set_label(label_[job->position]);
    datum.SerializeToString(&job->record);
  }

  void FromFile(const string& path, const string& bytes, caffe::Datum* datum) const {
    const bool grey = set_.grey && !settings_.color;
    const cv::Mat image = caffe::TryDecode(bytes, grey ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
    ENFORCE(!image.empty()) << files_.Where(path) << ": is truncated or cannot be decoded ("
                            << bytes.size() << " bytes)";
    ENFORCE(image.rows > set_.crop_bottom)
        << files_.Where(path) << ": has " << image.rows << " rows where the lowest "
        << set_.crop_bottom << " are left out";
    const cv::Mat picture = image.rowRange(0, image.rows - set_.crop_bottom);
    cv::Mat resized;
    ResizeTo(settings_.size, picture, &resized);
    caffe::CVMatToDatum(resized, datum);
  }

  const FileSet& files_;
  const Dataset& set_;
  const Part& part_;
  const vector<int>&chosen_, &label_;
  const ImageSettings settings_;
  const string output_;
  LmdbWriter writer_;
  caffe::Workers workers_;
  vector<Job> gathered_;
  caffe::Progress progress_;
  size_t written_ = 0, reported_ = 0;
  std::future<vector<Job>> decoding_;  // last: its end is waited for before the rest goes
};

}  // namespace

void ConvertPart(const FileSet& files, const Dataset& set, const Part& part,
                 const vector<int>& chosen, const vector<int>& label, const ImageSettings& settings,
                 const string& output) {
  Converter(files, set, part, chosen, label, settings, output).Run();
}

}  // namespace metaperturb
