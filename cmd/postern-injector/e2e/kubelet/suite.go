package kubelet

import (
	"sync"
	"testing"

	"postern/cmd/postern-injector/e2e/cluster"
)

// Suite is the cluster with nodes that the tests of a package share:
//
//	var suite = kubelet.Suite{}
//
//	func TestMain(m *testing.M) { os.Exit(suite.Run(m)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		c, k := suite.Start(t)
//		...
//	}
type Suite struct {
	Cluster cluster.Options // its controllers run in any case
	Options Options

	once    sync.Once
	cluster *cluster.Cluster
	kubelet *Kubelet
	err     error
}

// Run runs the tests of the package and stops what they started; in a process that is to become a container it does not return.
func (s *Suite) Run(m *testing.M) int {
	Shim()
	defer s.stop()
	return m.Run()
}

// Start is the cluster and its nodes, started by the first test that asks. Where they cannot be had the test is skipped, or fails in CI.
func (s *Suite) Start(t testing.TB) (*cluster.Cluster, *Kubelet) {
	t.Helper()
	s.once.Do(func() {
		s.Cluster.Controllers = true
		if s.cluster, s.err = cluster.Start(s.Cluster); s.err == nil {
			s.kubelet, s.err = Start(s.cluster, s.Options)
		}
	})
	cluster.Need(t, s.err)
	return s.cluster, s.kubelet
}

func (s *Suite) stop() {
	s.once.Do(func() {}) // no start after the end
	if s.kubelet != nil {
		s.kubelet.Stop()
	}
	if s.cluster != nil {
		s.cluster.Stop()
	}
}
