//! Every variable of a CI's environment that we read, each with its meaning: the readers use
//! these constants, the book prints the table.

/// One variable that a CI sets and that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// Who sets it.
    pub set_by: &'static str,
    /// What we take from it.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($set_by:literal { $($name:ident $meaning:literal)* })*) => {
        $($(
            #[doc = concat!($meaning, " (", $set_by, ").")]
            pub const $name: &str = stringify!($name);
        )*)*

        /// All variables that we read, grouped by who sets them.
        pub const TABLE: &[Variable] = &[$($(
            Variable { name: $name, set_by: $set_by, meaning: $meaning },
        )*)*];
    };
}

variables! {
    "every CI" {
        CI "says that a CI runs us; Woodpecker writes its name into it"
    }
    "GitHub Actions" {
        GITHUB_ACTIONS "`true` in GitHub Actions, and in Gitea's and Forgejo's"
        GITHUB_EVENT_NAME "the event: push, pull_request, workflow_dispatch, schedule …"
        GITHUB_EVENT_PATH "the file with the event's payload"
        GITHUB_REF "the full ref that the event is about"
        GITHUB_REF_NAME "the branch or tag, where the full ref is missing"
        GITHUB_REF_TYPE "`branch` or `tag`, for the short name"
        GITHUB_HEAD_REF "a pull request's source branch"
        GITHUB_BASE_REF "a pull request's target branch"
        GITHUB_SHA "the commit; for a pull request the trial merge"
        GITHUB_SERVER_URL "the first part of the address of the run"
        GITHUB_REPOSITORY "owner and name, for the address of the run"
        GITHUB_RUN_ID "the run's id, for the address of the run"
        GITHUB_RUN_NUMBER "the run's number"
    }
    "GitLab" {
        GITLAB_CI "`true` in GitLab"
        CI_PIPELINE_SOURCE "what started the pipeline: push, merge_request_event, schedule, web …"
        CI_COMMIT_BEFORE_SHA "the branch's commit before the push"
        CI_COMMIT_REF_NAME "the branch or tag, where there is no pull request"
        CI_MERGE_REQUEST_IID "the merge request's number"
        CI_MERGE_REQUEST_REF_PATH "the merge request's full ref"
        CI_MERGE_REQUEST_SOURCE_BRANCH_NAME "a merge request's source branch"
        CI_MERGE_REQUEST_SOURCE_BRANCH_SHA "the real head in a merged-results pipeline"
        CI_MERGE_REQUEST_SOURCE_PROJECT_ID "the project that the change comes from"
        CI_MERGE_REQUEST_TARGET_BRANCH_NAME "a merge request's target branch"
        CI_MERGE_REQUEST_PROJECT_ID "the project that the change goes to"
        CI_MERGE_REQUEST_DIFF_BASE_SHA "where the merge request left its target branch"
        CI_EXTERNAL_PULL_REQUEST_IID "the number of a pull request on GitHub, mirrored"
        CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME "its source branch"
        CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA "its head"
        CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY "the repository that it comes from"
        CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME "its target branch"
        CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY "the repository that it goes to"
        CI_PIPELINE_IID "the pipeline's number in its project"
    }
    "GitLab, Woodpecker" {
        CI_COMMIT_AUTHOR "the commit's author, where git cannot say"
        CI_COMMIT_BRANCH "the branch (Woodpecker: the target for a pull request)"
        CI_COMMIT_MESSAGE "the commit's message, where git cannot say"
        CI_COMMIT_SHA "the commit"
        CI_COMMIT_TAG "the tag"
        CI_PIPELINE_URL "the address of the run"
    }
    "Buildkite" {
        BUILDKITE "`true` in Buildkite"
        BUILDKITE_BRANCH "the branch; `owner:branch` when it comes from a fork"
        BUILDKITE_BUILD_AUTHOR "the commit's author, where git cannot say"
        BUILDKITE_BUILD_AUTHOR_EMAIL "the author's address"
        BUILDKITE_BUILD_NUMBER "the build's number"
        BUILDKITE_BUILD_URL "the address of the build"
        BUILDKITE_COMMIT "the commit, or `HEAD` when nobody has resolved it"
        BUILDKITE_MESSAGE "the commit's message, where git cannot say"
        BUILDKITE_PULL_REQUEST "the pull request's number, or `false`"
        BUILDKITE_PULL_REQUEST_BASE_BRANCH "a pull request's target branch"
        BUILDKITE_PULL_REQUEST_REPO "the repository that a pull request comes from"
        BUILDKITE_REPO "the repository of the pipeline"
        BUILDKITE_SOURCE "what started the build: webhook, schedule, ui, api, trigger_job"
        BUILDKITE_TAG "the tag"
    }
    "Jenkins" {
        JENKINS_URL "the server; says that Jenkins runs us"
        BRANCH_NAME "the branch of a multibranch job"
        BUILD_NUMBER "the build's number"
        BUILD_URL "the address of the build"
        CHANGE_BRANCH "a change's source branch"
        CHANGE_FORK "the fork that a change comes from"
        CHANGE_ID "a change's number"
        CHANGE_TARGET "a change's target branch"
        GIT_BRANCH "the branch of a job that is not multibranch, with its remote"
        GIT_COMMIT "the commit"
        GIT_PREVIOUS_COMMIT "the commit of the build before"
        GIT_PREVIOUS_SUCCESSFUL_COMMIT "the commit of the last good build"
        TAG_NAME "the tag of a multibranch job"
    }
    "pipe" {
        PIPE "`true` in a job: a run in a job is about what the run around it is about"
        PIPE_BRANCH "the branch of the run around"
        PIPE_EVENT "the event of the run around"
        PIPE_SHA "the commit of the run around"
        PIPE_TAG "the tag of the run around"
        PIPE_TRUSTED "`false` if the run around is not trusted"
    }
    "Woodpecker" {
        CI_COMMIT_AUTHOR_EMAIL "the author's address"
        CI_COMMIT_PULL_REQUEST "the pull request's number"
        CI_COMMIT_REF "the full ref"
        CI_COMMIT_SOURCE_BRANCH "a pull request's source branch"
        CI_COMMIT_TARGET_BRANCH "a pull request's target branch"
        CI_PIPELINE_EVENT "the event: push, pull_request, tag, release, cron, manual, deployment"
        CI_PIPELINE_NUMBER "the pipeline's number"
        CI_PREV_COMMIT_SHA "the commit of the pipeline before"
    }
}
