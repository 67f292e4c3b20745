#include "solvers/task_set.hpp"

#include <chrono>
#include <set>

#include "solvers/host.hpp"
#include "solvers/task_placement.hpp"
#include "util/philox.hpp"

namespace caffe {

namespace {

typedef std::chrono::steady_clock Clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Meta-steps after which the tasks' times are looked at, and between one look and the next.
const int kFirstLook = 3, kLookInterval = 100;

// What a process sends with a step: these numbers, then per task kRecord numbers and the gradient.
enum { kFailed, kRequest, kDisplay, kChecksum, kHeader };
enum { kThetaLoss, kValLoss, kAccuracy, kRate, kSeconds, kRecord };

// Even, and apart for every task and seed of a run: neighbouring seeds must not share tasks' noise.
int64_t TaskSeed(int64_t seed, int task) {
  const uint64_t key = PhiloxKey(static_cast<uint64_t>(seed), static_cast<uint64_t>(task) + 1);
  return static_cast<int64_t>(key & 0x7FFFFFFE);
}

}  // namespace

template <typename Dtype>
TaskSet<Dtype>::TaskSet(const MetaSolverParameter& run, int64_t seed, const MetaParallelism& how)
    : run_(run),
      seed_(seed),
      group_(how.group ? how.group : &alone_),
      workers_(how.tasks_at_once, how.task_threads, how.bind),
      tasks_(run.task_size()) {
  const vector<string> counts = group_->AllGather(std::to_string(how.tasks_at_once));
  for (int rank = 0; rank < group_->size(); ++rank) {
    for (int k = 0; k < std::stoi(counts[rank]); ++k) slots_.push_back({rank, k});
  }
  places_ = PlaceTasks(vector<double>(run.task_size(), 1.0), static_cast<int>(slots_.size()));
  try {
    BuildAll();
  } catch (...) {
    DropTasks();
    throw;
  }
}

template <typename Dtype>
void TaskSet<Dtype>::BuildAll() {
  group_->Together([&] {
    // The first task's nets are logged, those of the others look alike.
    OnWorkers([](int t) { return t == 0; }, [&](int t) { Build(t); });
    const QuietLog quiet;
    OnWorkers([](int t) { return t > 0; }, [&](int t) { Build(t); });
    // Tasks may come here later, and their files may have changed by then.
    for (int t = 0; t < size(); ++t) {
      Within("task '" + TaskName(run_, t) + "'", [&] { nets_.Get(NetFile(run_, t)); });
    }
  });
  Report();
}

template <typename Dtype>
TaskSet<Dtype>::~TaskSet() {
  DropTasks();
}

// Each where it was made; what a failed GPU leaves, ~TaskSet destroys. Its error was thrown before.
template <typename Dtype>
void TaskSet<Dtype>::DropTasks() {
  try {
    OnWorkers([](int) { return true; }, [&](int t) { tasks_[t].reset(); });
  } catch (const std::exception&) {
  }
}

template <typename Dtype>
void TaskSet<Dtype>::OnWorkers(const std::function<bool(int)>& which,
                               const std::function<void(int)>& work) {
  const ComputeDevice device;
  workers_.Run([&](int k) {
    device.Run([&] {
      for (int t = 0; t < size(); ++t) {
        if (IsMine(t) && slots_[places_[t]].worker == k && which(t)) work(t);
      }
    });
  });
}

template <typename Dtype>
void TaskSet<Dtype>::Build(int task) {
  tasks_[task].reset(new MetaTask<Dtype>(run_, &nets_, task, TaskSeed(seed_, task)));
  for (int t = 0; t < size(); ++t) {
    // Only this worker makes tasks in its own place.
    if (t != task && places_[t] == places_[task] && tasks_[t]) {
      tasks_[task]->Borrow(tasks_[t]->theta_net());
    }
  }
  tasks_[task]->Borrow(tasks_[task]->theta_net());
  if (phi_) tasks_[task]->SharePhi(*phi_);
}

template <typename Dtype>
void TaskSet<Dtype>::Report() {
  MetaTaskReports mine;
  for (int t = 0; t < size(); ++t) {
    if (!tasks_[t]) continue;
    MetaTaskReport* report = mine.add_report();
    report->set_index(static_cast<uint32_t>(t));
    tasks_[t]->Describe(report);
  }
  reports_.resize(places_.size());
  for (const string& text : group_->AllGather(mine.SerializeAsString())) {
    MetaTaskReports theirs;
    CHECK(theirs.ParseFromString(text));
    for (const MetaTaskReport& report : theirs.report()) reports_[report.index()] = report;
  }
  group_->Together([&] {
    std::set<string> names;
    for (const MetaTaskReport& report : reports_) {
      ENFORCE(names.insert(report.name()).second)
          << "two tasks have the name '" << report.name() << "'";
      ENFORCE(report.phi_file() == reports_[0].phi_file())
          << "task '" << report.name() << "' loads phi from '" << report.phi_file() << "', task '"
          << reports_[0].name() << "' from '" << reports_[0].phi_file() << "'";
    }
  });
}

template <typename Dtype>
void TaskSet<Dtype>::SharePhi(const Blob<Dtype>& phi) {
  phi_ = &phi;
  MakeReadable(phi);  // from now on, several threads read it
  group_->Together(
      [&] { OnWorkers([](int) { return true; }, [&](int t) { tasks_[t]->SharePhi(phi); }); });
}

template <typename Dtype>
auto TaskSet<Dtype>::Step(int batches, Message* message) -> vector<Outcome> {
  if (times_.steps == kFirstLook || (times_.steps > 0 && times_.steps % kLookInterval == 0)) {
    Place(times_.tasks);
  }
  const Clock::time_point start = Clock::now();
  MakeReadable(*phi_);  // a snapshot may have been read into it
  const int values = phi_->count(), length = kRecord + values;
  vector<vector<double>> records(size());
  std::exception_ptr failure;
  try {
    const QuietLog quiet;  // of a learning rate's steps, which would be logged once per task
    OnWorkers([](int) { return true; },
              [&](int t) {
                const Clock::time_point task_start = Clock::now();
                MetaTask<Dtype>& task = *tasks_[t];
                vector<double>& record = records[t];
                record.resize(length);
                record[kRate] = SolverAccess<Dtype>::LearningRate(&task.solver());
                task.Step(batches, &record[kThetaLoss], &record[kValLoss]);
                record[kAccuracy] = task.accuracy();
                std::copy_n(task.phi_gradient().begin(), values, record.begin() + kRecord);
                record[kSeconds] = SecondsSince(task_start);
              });
  } catch (...) {
    failure = std::current_exception();
  }

  vector<int> counts(group_->size(), static_cast<int>(kHeader));
  vector<double> mine(kHeader);
  mine[kFailed] = failure ? 1 : 0;
  mine[kRequest] = message->request;
  mine[kDisplay] = message->display;
  mine[kChecksum] = message->checksum;
  for (int t = 0; t < size(); ++t) {
    counts[slots_[places_[t]].rank] += length;
    if (!IsMine(t)) continue;
    records[t].resize(length);
    mine.insert(mine.end(), records[t].begin(), records[t].end());
  }
  const vector<double> all = group_->AllGather(mine, counts);

  vector<size_t> next(group_->size());  // where the next record of each process begins
  bool failed = false;
  size_t at = 0;
  for (int rank = 0; rank < group_->size(); ++rank) {
    failed |= all[at + kFailed] != 0;
    message->request = std::max(message->request, static_cast<int>(all[at + kRequest]));
    message->display |= all[at + kDisplay] != 0;
    next[rank] = at + kHeader;
    at += counts[rank];
  }
  if (failed) {
    group_->Together([&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  at = 0;
  bool same = true;
  for (int rank = 0; rank < group_->size(); at += counts[rank++]) {
    same &= all[at + kChecksum] == all[kChecksum];
  }
  if (!same) {
    group_->Together([] {
      THROW_ERROR << "phi differs between the processes: their machines or builds are not the same";
    });
  }
  vector<Outcome> outcomes(size());
  for (int t = 0; t < size(); ++t) {
    const double* record = &all[next[slots_[places_[t]].rank]];
    next[slots_[places_[t]].rank] += length;
    outcomes[t] = {record[kThetaLoss], record[kValLoss], record[kAccuracy],
                   record[kRate],      record[kSeconds], {record + kRecord, record + length}};
  }
  CountTime(outcomes, SecondsSince(start));
  return outcomes;
}

template <typename Dtype>
void TaskSet<Dtype>::CountTime(const vector<Outcome>& outcomes, double seconds) {
  if (++times_.steps == 0) {
    times_.tasks.assign(outcomes.size(), 0.0);
    return;
  }
  vector<double> costs;
  for (const Outcome& outcome : outcomes) costs.push_back(outcome.seconds);
  for (size_t t = 0; t < costs.size(); ++t) times_.tasks[t] += costs[t];
  times_.busiest += BusiestCost(costs, places_, static_cast<int>(slots_.size()));
  times_.all += seconds;
}

template <typename Dtype>
void TaskSet<Dtype>::Place(const vector<double>& costs) {
  const int count = static_cast<int>(slots_.size());
  const vector<int> places = PlaceTasks(costs, count);
  const double before = BusiestCost(costs, places_, count);
  const double after = BusiestCost(costs, places, count);
  if (after > 0.95 * before) return;
  LOG(INFO) << "Spreading the tasks anew by the time they take: the busiest of " << count
            << " workers will have " << 100 * after / before << " % of what it had to do";
  std::exception_ptr failure;
  {
    const QuietLog quiet;
    for (int t = 0; t < size(); ++t) {
      if (places[t] != places_[t]) Move(t, places[t], &failure);
    }
  }
  group_->Together([&] {
    if (failure) std::rethrow_exception(failure);
  });
  times_ = Times();
}

template <typename Dtype>
void TaskSet<Dtype>::Move(int task, int place, std::exception_ptr* failure) {
  const auto only = [task](int t) { return t == task; };
  MetaSolverState::Task state;
  OnWorkers(only, [&](int t) {
    tasks_[t]->ToProto(&state);
    tasks_[t].reset();
  });
  const int from = slots_[places_[task]].rank, to = slots_[place].rank;
  if (from != to) {
    if (group_->rank() == from) group_->Send(state.SerializeAsString(), to);
    if (group_->rank() == to) CHECK(state.ParseFromString(group_->Receive(from)));
  }
  places_[task] = place;
  try {
    OnWorkers(only, [&](int t) {
      Build(t);
      tasks_[t]->FromProto(state);
    });
  } catch (...) {
    *failure = std::current_exception();
  }
}

template <typename Dtype>
Scalars TaskSet<Dtype>::Perturbations() {
  MetaTaskReports mine;
  for (int t = 0; t < size(); ++t) {
    if (!tasks_[t]) continue;
    Scalars scalars;
    tasks_[t]->AppendPerturbations(&scalars);
    MetaTaskReport* report = mine.add_report();
    report->set_index(static_cast<uint32_t>(t));
    for (const auto& scalar : scalars) {
      MetaTaskReport::Scalar* stored = report->add_perturbation();
      stored->set_name(scalar.first);
      stored->set_value(scalar.second);
    }
  }
  vector<Scalars> per_task(size());
  for (const string& text : group_->AllGather(mine.SerializeAsString())) {
    MetaTaskReports theirs;
    CHECK(theirs.ParseFromString(text));
    for (const MetaTaskReport& report : theirs.report()) {
      for (const auto& stored : report.perturbation()) {
        per_task[report.index()].emplace_back(stored.name(), stored.value());
      }
    }
  }
  Scalars result;
  for (const Scalars& scalars : per_task) {
    result.insert(result.end(), scalars.begin(), scalars.end());
  }
  return result;
}

template <typename Dtype>
void TaskSet<Dtype>::ForEachState(const std::function<void(const MetaSolverState::Task&)>& take) {
  std::exception_ptr failure;
  for (int t = 0; t < size(); ++t) {
    const int owner = slots_[places_[t]].rank;
    MetaSolverState::Task own;
    OnWorkers([t](int other) { return other == t; }, [&](int) { tasks_[t]->ToProto(&own); });
    if (owner != 0 && group_->rank() == owner) group_->Send(own.SerializeAsString(), 0);
    if (group_->rank() != 0) continue;
    if (owner != 0) CHECK(own.ParseFromString(group_->Receive(owner)));
    try {
      if (!failure) take(own);
    } catch (...) {
      failure = std::current_exception();  // the others still wait to get rid of theirs
    }
  }
  group_->Together([&] {
    if (failure) std::rethrow_exception(failure);
  });
}

template <typename Dtype>
void TaskSet<Dtype>::FromProto(const MetaSolverState& state) {
  group_->Together([&] {
    ENFORCE(state.task_size() == size())
        << "was written with " << state.task_size() << " task(s); this run has " << size();
    for (int t = 0; t < size(); ++t) {
      ENFORCE(state.task(t).name() == reports_[t].name())
          << "task " << t << " is '" << state.task(t).name() << "' there and '"
          << reports_[t].name() << "' in this run";
    }
    OnWorkers([](int) { return true; }, [&](int t) { tasks_[t]->FromProto(state.task(t)); });
  });
}

template <typename Dtype>
string TaskSet<Dtype>::TimeLine() const {
  if (times_.steps <= 0) return "";
  double tasks = 0;
  for (const double seconds : times_.tasks) tasks += seconds;
  ostringstream line;
  line << "Time per meta-step: " << times_.all / times_.steps << " s; the busiest of "
       << slots_.size() << " worker(s) computed " << times_.busiest / times_.steps
       << " s, the mean one " << tasks / static_cast<double>(slots_.size()) / times_.steps << " s";
  return line.str();
}

INSTANTIATE_CLASS(TaskSet);

}  // namespace caffe
