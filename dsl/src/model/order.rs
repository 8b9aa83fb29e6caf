//! In which order stages run where they do not say it themselves.

use std::collections::BTreeSet;

use super::{Pipeline, Stage, StageId, Step, Wait, WaitKind, WaitTarget};

impl Stage {
    /// Whether it stands aside of the way: it runs after others or on their failure, and nothing waits for it unless
    /// it says so. Otherwise a notification about failed tests would let the deployment behind it begin.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        let aside = |w: &Wait| matches!(w.kind, WaitKind::After | WaitKind::OnFailure);
        self.waits.iter().flatten().any(aside)
    }
}

impl Pipeline {
    /// By stage: the stages that it waits for because it names none itself. These are all stages before it that are
    /// part of the run, less those that another one of them waits for already.
    pub fn stages_before(&self, in_run: &dyn Fn(StageId) -> bool) -> Vec<Vec<StageId>> {
        let mut before = vec![Vec::new(); self.stages.len()];
        let mut last: BTreeSet<StageId> = BTreeSet::new();
        for id in self.stage_ids().filter(|id| in_run(*id)) {
            let stage = self.stage(id);
            match &stage.waits {
                None => {
                    before[id.0 as usize] = std::mem::take(&mut last).into_iter().collect();
                }
                Some(waits) => {
                    for wait in waits.iter().filter(|w| w.kind == WaitKind::Needs) {
                        if let WaitTarget::Stage(needed) = wait.target {
                            last.remove(&needed);
                        }
                    }
                }
            }
            if !stage.is_aside() {
                last.insert(id);
            }
        }
        before
    }
}

impl Step {
    /// Whether it waits for its stage to begin. A step that runs after, or on the failure of, something of another
    /// stage names itself what it waits for: otherwise it could never see that failure. But what its stage names
    /// holds for all its steps.
    #[must_use]
    pub fn waits_for_stage(&self, pipeline: &Pipeline) -> bool {
        let elsewhere = |w: &Wait| match w.target {
            WaitTarget::Step(id) => pipeline.step(id).stage != self.stage,
            WaitTarget::Stage(id) => id != self.stage,
        };
        let aside =
            |w: &Wait| matches!(w.kind, WaitKind::After | WaitKind::OnFailure) && elsewhere(w);
        pipeline.stage(self.stage).waits.is_some() || !self.waits.iter().any(aside)
    }
}
