package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Resources are quantities as Kubernetes writes them.
type Resources struct {
	Requests map[string]string `yaml:"requests"`
	Limits   map[string]string `yaml:"limits"`
}

// What a sidecar gets if nobody says otherwise. There is no limit of CPU: it would slow down every request of a busy second.
func defaultRequests() map[string]string { return map[string]string{"cpu": "20m", "memory": "32Mi"} }
func defaultLimits() map[string]string   { return map[string]string{"memory": "256Mi"} }

const (
	leastMemory   = 32 << 20 // below it the sidecar is killed as soon as somebody calls
	guaranteedCPU = "100m"   // limit of a sidecar in a Guaranteed pod that has no other; its mere request would be a standstill
)

// resources are those of the settings with what the pod says over them.
func (i *injection) resources() corev1.ResourceRequirements {
	said, where := i.saidResources()
	out := corev1.ResourceRequirements{
		Requests: i.quantities("requests", orDefault(i.settings.Resources.Requests, defaultRequests()), said.Requests, where),
		Limits:   i.quantities("limits", orDefault(i.settings.Resources.Limits, defaultLimits()), said.Limits, where),
	}
	if i.guaranteed() {
		keepGuaranteed(&out)
	}
	for _, name := range slices.Sorted(maps.Keys(out.Limits)) {
		limit, request := out.Limits[name], out.Requests[name]
		if limit.Cmp(request) < 0 {
			i.problem(codeResources, "%s: the limit of %s, %s, is less than the request, %s", where, name, limit.String(), request.String())
		}
	}
	if memory, ok := out.Limits[corev1.ResourceMemory]; ok && memory.Value() < leastMemory {
		i.problem(codeResources, "%s: the limit of memory, %s, is less than the 32Mi that the sidecar needs", where, memory.String())
	}
	return out
}

func orDefault(said, fallback map[string]string) map[string]string {
	if said == nil {
		return fallback
	}
	return said
}

// saidResources reads the annotation: YAML of the shape of a container's resources.
func (i *injection) saidResources() (Resources, string) {
	text := i.said.text(keyResources)
	if text == "" {
		return Resources{}, "resources of the injector's settings"
	}
	where := i.said.where(keyResources)
	var out Resources
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&out); err != nil {
		i.problem(codeResources, "%s must be of the form {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}", where)
		return Resources{}, where
	}
	return out, where
}

// quantities merges and reads.
func (i *injection) quantities(kind string, base, over map[string]string, where string) corev1.ResourceList {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, over)
	out := corev1.ResourceList{}
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		if name != "cpu" && name != "memory" && name != "ephemeral-storage" {
			i.problem(codeResources, "%s: %s.%s is none of cpu, memory, ephemeral-storage", where, kind, shown(name))
			continue
		}
		q, err := resource.ParseQuantity(merged[name])
		if err != nil || q.Sign() <= 0 {
			i.problem(codeResources, "%s: %s.%s: %s is no quantity such as 100m or 64Mi", where, kind, name, shown(merged[name]))
			continue
		}
		out[corev1.ResourceName(name)] = q
	}
	return out
}

// guaranteed says whether every container has equal requests and limits of CPU and memory, so that the node never takes them away. With
// resources of the pod as a whole those alone count.
func (i *injection) guaranteed() bool {
	if i.pod.Spec.Resources != nil && (len(i.pod.Spec.Resources.Limits) > 0 || len(i.pod.Spec.Resources.Requests) > 0) {
		return false
	}
	all := true
	i.pod.everyContainer(func(_ string, c *corev1.Container) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, limited := c.Resources.Limits[name]
			request, requested := c.Resources.Requests[name]
			all = all && limited && !limit.IsZero() && (!requested || request.Cmp(limit) == 0)
		}
	})
	return all
}

// keepGuaranteed makes requests and limits equal, so that the pod stays what it was: each the limit, else the request.
func keepGuaranteed(r *corev1.ResourceRequirements) {
	if _, ok := r.Limits[corev1.ResourceCPU]; !ok {
		cpu := resource.MustParse(guaranteedCPU)
		if request, ok := r.Requests[corev1.ResourceCPU]; ok && request.Cmp(cpu) > 0 {
			cpu = request
		}
		r.Limits[corev1.ResourceCPU], r.Requests[corev1.ResourceCPU] = cpu, cpu
	}
	if _, ok := r.Limits[corev1.ResourceMemory]; !ok {
		memory, ok := r.Requests[corev1.ResourceMemory]
		if !ok {
			memory = resource.MustParse(defaultLimits()["memory"])
		}
		r.Limits[corev1.ResourceMemory] = memory
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if request, limit := r.Requests[name], r.Limits[name]; request.Cmp(limit) < 0 {
			r.Requests[name] = limit
		}
	}
}

// goMemoryLimit leaves an eighth of the limit, 8 MiB at least, to what Go's runtime does not count: the program itself, thread stacks, buffers
// of the kernel. The sidecar takes the sizes of its caches from it. Empty without a limit.
func goMemoryLimit(r corev1.ResourceRequirements) string {
	limit, ok := r.Limits[corev1.ResourceMemory]
	if !ok {
		return ""
	}
	bytes := limit.Value()
	return fmt.Sprintf("%dMiB", (bytes-max(bytes/8, 8<<20))>>20)
}
