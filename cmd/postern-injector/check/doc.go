// Package check finds what still reaches an app around its sidecar: Services, EndpointSlices, Ingresses, host ports and NetworkPolicies that lead
// to the app's own port, and pods that were to have a sidecar and have none (S-05).
//
// It is pure: [Read] takes the objects of a cluster or of manifests from a stream, [Objects.Findings] judges them as they are. What was not given
// is not there: a pod without a NetworkPolicy among the objects is an open pod.
//
// It does not see what an app listens on, policies of other kinds than NetworkPolicy (of a CNI or of the administrator), or whether the
// cluster's network enforces any. The first is what the sidecar looks at itself.
package check
