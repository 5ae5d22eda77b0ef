//go:build !linux

package kubelet

import (
	"fmt"
	"net/netip"

	"postern/cmd/postern-injector/e2e/cluster"
)

type netns struct{}

func newNetns(...netip.Prefix) (*netns, error) {
	return nil, fmt.Errorf("%w: Linux, which the pods of tests need", cluster.ErrMissing)
}

func (*netns) do(func() error) error { return cluster.ErrMissing }

func (*netns) close() {}
