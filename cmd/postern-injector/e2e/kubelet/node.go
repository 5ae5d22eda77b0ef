package kubelet

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"postern/cmd/postern-injector/e2e/cluster"
)

type m = map[string]any

// The API server's limits for a node are large enough for every test.
var capacity = m{"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "100Gi"}

// register makes the nodes and keeps them alive until the context ends.
func (k *Kubelet) register(ctx context.Context, count int) error {
	if count == 0 {
		count = 2
	}
	for i := range count {
		name := "node-" + strconv.Itoa(i+1)
		labels := m{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": runtime.GOARCH,
			"topology.kubernetes.io/zone": "zone-" + strconv.Itoa(i+1),
		}
		node := m{"apiVersion": "v1", "kind": "Node", "metadata": m{"name": name, "labels": labels}, "status": nodeStatus(name)}
		if err := k.cluster.Do(ctx, http.MethodPost, "/api/v1/nodes", node, nil); err != nil {
			return err
		}
		if err := k.heartbeat(ctx, name); err != nil {
			return err
		}
		k.nodes[name] = true
	}
	k.loops.Go(func() {
		for pause(ctx, 10*time.Second) {
			for name := range k.nodes {
				_ = k.heartbeat(ctx, name) // one that is missed is made good by the next
			}
		}
	})
	return nil
}

func nodeStatus(name string) m {
	now := time.Now().UTC().Format(time.RFC3339)
	condition := func(kind, status string) m {
		return m{"type": kind, "status": status, "reason": "Test", "lastHeartbeatTime": now, "lastTransitionTime": now}
	}
	return m{
		"capacity": capacity, "allocatable": capacity,
		"conditions": []m{
			condition("Ready", "True"), condition("MemoryPressure", "False"), condition("DiskPressure", "False"), condition("PIDPressure", "False"),
		},
		"daemonEndpoints": m{"kubeletEndpoint": m{"Port": kubeletPort}},
		"addresses":       []m{{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": nodeIP}},
	}
}

// heartbeat says that the node is ready, in its status and with its lease.
func (k *Kubelet) heartbeat(ctx context.Context, name string) error {
	status := cluster.Patch{Type: "application/strategic-merge-patch+json", Body: m{"status": nodeStatus(name)}}
	if err := k.cluster.Do(ctx, http.MethodPatch, "/api/v1/nodes/"+name+"/status", status, nil); err != nil {
		return err
	}
	const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
	spec := m{"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")}
	err := k.cluster.Do(ctx, http.MethodPatch, leases+"/"+name, cluster.Patch{Type: "application/merge-patch+json", Body: m{"spec": spec}}, nil)
	if cluster.NotFound(err) {
		lease := m{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": m{"name": name}, "spec": spec}
		err = k.cluster.Do(ctx, http.MethodPost, leases, lease, nil)
	}
	return err
}
