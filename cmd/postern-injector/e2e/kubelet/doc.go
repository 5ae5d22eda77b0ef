// Package kubelet runs the pods of a test cluster (package cluster) as processes of this machine, inside the test process and without
// containers or packets beyond loopback. It needs Linux and root.
//
// A container is a process in its own mount, process and host name namespaces: its root is the machine's (or a directory of the test's
// choice) under a layer that is thrown away, read-only where the pod says so; it has the user and the groups that the pod names, no
// capability, and cannot gain any. [Image] says which program stands for the name of an image; [Kubelet.PullFrom] names registries whose images
// are pulled by digest, unpacked, and are all that the container has. Of a real kubelet it has what a sidecar
// depends on: the order of init containers, native sidecars and their startup gate, probes, restarts, environment and volumes with their
// updates, graceful ends in the right order, and the endpoint for `kubectl logs` and `kubectl port-forward`, with mutual TLS. It has no resource
// limits, no persistent volumes, no gRPC probes, no postStart hooks, no `kubectl exec` ([Kubelet.Exec] takes its place).
//
// The containers of a pod share a network namespace that has nothing but a loopback interface, with the pod's address on it. What is DNS and
// kube-proxy elsewhere is done by the test process: /etc/hosts names the Services, and in each pod's namespace it listens at their cluster
// addresses and hands every connection on to a ready endpoint, by dialling inside that pod's namespace. [Kubelet.Dial] gives tests the same
// way in, and the API server's webhooks take it too; a [Workstation] is a person's computer beside the cluster. Two limits follow. A Service's port that a pod's own containers declare cannot be
// reached from inside that pod, since both would have to listen on it. And a pod reaches others through Services, not by their addresses.
//
// A test package starts it with [Suite]; its TestMain must call [Suite.Run], because the test binary is also the program that prepares each
// container.
package kubelet
