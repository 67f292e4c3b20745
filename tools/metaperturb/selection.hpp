#ifndef METAPERTURB_TOOLS_METAPERTURB_SELECTION_HPP_
#define METAPERTURB_TOOLS_METAPERTURB_SELECTION_HPP_

// Several meta-training runs, and the choice among them.

#include "solvers/phi_score.hpp"
#include "solvers/process_group.hpp"

/// Run `index` of `count`, from 0: random_seed + index, and "_runINDEX" in the names of all it
/// writes. A single run is `param` itself.
caffe::MetaSolverParameter RunOf(const caffe::MetaSolverParameter& param, int index, int count);

/// Scores the phi of every run on the target, the runs spread over the processes (collective), and
/// copies the best to PREFIX_phi.caffemodel; the first of equals. PREFIX_selection.csv has a row
/// run,seed,SCORE,phi per run. A score is kept in PREFIX_runINDEX.score, and with `resume` taken
/// from there if it is of the same phi, target solver and net. False if `action` ended it early.
bool SelectRun(const caffe::MetaSolverParameter& param, int count,
               const caffe::SolverParameter& target, bool resume, caffe::ProcessGroup* group,
               const caffe::ActionCallback& action);

#endif  // METAPERTURB_TOOLS_METAPERTURB_SELECTION_HPP_
