//! Targets in a real Kubernetes: its own control plane, kubelet and proxy, Docker beneath them, images by digest from a real
//! registry. What runs is asked of the pods and of whoever serves, never of the engine.

mod canary;
pub mod cluster;
mod crash;
mod manifests;
mod rollout;
mod sets;
mod ssh;
