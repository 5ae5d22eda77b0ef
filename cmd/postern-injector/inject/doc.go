// Package inject turns a pod into one that has the sidecar: a pure function from the pod's JSON and the settings to JSON Patch operations.
//
// It owns what may be said about the sidecar (annotations.go), what a pod must be like to get it, and what the sidecar looks like. It does no
// input or output, knows no clock and keeps nothing between two calls. Of Postern it imports package config alone, by which it checks
// the configuration that the sidecar would get before the pod exists.
//
// The pod is read with the types of k8s.io/api, and never written back from them: fields that are newer than these types survive, for the
// patch consists of `add` operations on places that the injector owns, and of `test` operations where the position in a list matters.
//
// The life of a call: [Inject] reads the pod (pod.go), sees whether it is asked for (asked.go), gathers what pod, namespace and chart say
// (said.go), finds the app's port (ports.go), makes the container (sidecar.go, environment.go, resources.go), has its configuration checked
// (check.go), compares it with the sidecar that may be there already (present.go), and writes the patch (patch.go). All that is wrong with a pod
// is found in one go.
package inject
