package inject

// Names that the pod, its owner and the guard see (contract 9).
const (
	Prefix    = "postern.dev/"
	Container = "postern" // of the sidecar

	LabelInject        = Prefix + "inject"   // "true" or "false", set by the owner
	LabelInjected      = Prefix + "injected" // "true", set by us
	AnnotationStatus   = Prefix + "status"   // [Status] as JSON, set by us
	annotationDefault  = "kubectl.kubernetes.io/default-container"
	annotationMirror   = "kubernetes.io/config.mirror"
	virtualKubelet     = "virtual-kubelet.io/provider"
	restartAlways      = "Always"
	conditionNamespace = "the ConfigMap " + DefaultsConfigMap + " of the namespace"

	// DefaultsConfigMap is the name of the ConfigMap with the defaults of a namespace.
	DefaultsConfigMap = "postern-defaults"
)

// Ports of the sidecar, unless annotations move them, and the names of those that are reached from outside the pod.
const (
	portProxy, portMetrics, portProbe, portToken, portEgress = 7564, 7565, 7566, 7164, 7167

	portNameProxy, portNameMetrics, portNameProbe = "postern-proxy", "postern-metrics", "postern-probe"
)

// Codes of problems. They are labels of metrics, so there are few of them.
const (
	codeInvalidPod    = "invalid_pod"
	codeBadLabel      = "bad_label"
	codeNoOptOut      = "no_opt_out"
	codeUnknownKey    = "unknown_key"
	codeBadValue      = "bad_value"
	codeAppPort       = "app_port"
	codePortConflict  = "port_conflict"
	codeUnprotected   = "unprotected" // S-04
	codeHostNetwork   = "host_network"
	codeWindows       = "windows"
	codeVirtualNode   = "virtual_kubelet"
	codeSharedProcess = "shared_process_namespace"
	codeNotOurs       = "not_ours"
	codeImage         = "image"
	codeResources     = "resources"
	codeShutdown      = "shutdown"
	codeConfiguration = "configuration"
)

// Reasons of a result.
const (
	ReasonInjected        = "injected"
	ReasonAlreadyInjected = "already_injected"
	ReasonCompleted       = "completed" // the sidecar was there, and containers that came later lacked something
	ReasonOptedOut        = "opted_out"
	ReasonNotAsked        = "not_asked"
	ReasonMirrorPod       = "mirror_pod"
	ReasonHostNetwork     = codeHostNetwork
	ReasonWindows         = codeWindows
	ReasonVirtualKubelet  = codeVirtualNode
)
