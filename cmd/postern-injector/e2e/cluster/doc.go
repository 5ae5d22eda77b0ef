// Package cluster runs a real Kubernetes control plane for tests: etcd, kube-apiserver and, when asked, kube-controller-manager and
// kube-scheduler, as processes of this machine that listen on loopback alone. The programs are built by .ci/kube/build.
//
// It owns the processes, their certificates and tokens, and what tests need to speak to them: [Cluster.Do] (REST), [Cluster.Kubectl],
// [Cluster.Helm], [Cluster.Metric], a namespace for each test. It has no nodes and runs no pods; that is package kubelet.
//
// Kubernetes dials the webhooks of a chart at their Service's address. Nothing routes that address here, so the API server hands every
// such connection to an [Egress], a CONNECT proxy in the test process, which knows where a Service really is and refuses everything else.
//
// One control plane serves all tests of a package. [Suite] starts it at its first use and stops it after the last test:
//
//	var suite = cluster.Suite{Options: cluster.Options{Controllers: true}}
//
//	func TestMain(m *testing.M) { os.Exit(suite.Run(m)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		c := suite.Cluster(t)
//		ns := c.Namespace(t, nil)
//		c.Apply(t, ns, "apiVersion: v1 ...")
//	}
//
// Nothing outlives the test process: the kernel kills the programs when it dies, however it dies.
package cluster
