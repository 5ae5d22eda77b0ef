// Package t3 tests the whole story on a real control plane: the images, built and pushed as charts/README.md says and pulled by the nodes; the chart with
// the injector of its image, pods with the sidecar of its image, the test provider and a Redis in the cluster, and an app that has no line of security
// code. Pods are processes (package kubelet).
//
// `go test -v ./cmd/postern-injector/e2e/t3` prints the story: what kubectl shows, what happened to the containers and when, what the sidecars said.
package t3
