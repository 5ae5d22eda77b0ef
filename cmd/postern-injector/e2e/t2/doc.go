// Package t2 tests the chart with everything real but the container runtime: Helm installs it from the commands of its README, the process kubelet
// (package kubelet) runs its Deployment as the injector's own binary, which makes its certificate with its own rights, and the API server reaches it by
// its Service. What is installed is what users install, byte for byte.
//
// The tests of one installation follow each other, since there is one webhook for all namespaces.
package t2
