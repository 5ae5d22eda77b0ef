package check

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Objects are what is judged. The zero value is an empty cluster.
type Objects struct {
	Pods      []corev1.Pod
	Services  []corev1.Service
	Slices    []discoveryv1.EndpointSlice
	Ingresses []networkingv1.Ingress
	Policies  []networkingv1.NetworkPolicy
	Workloads []Workload

	namespace string // of objects that name none
}

// Workload makes pods from a template.
type Workload struct {
	Kind     string
	Meta     metav1.ObjectMeta
	Between  metav1.ObjectMeta // of the job in a CronJob
	Template corev1.PodTemplateSpec
}

// Kinds are the resources to ask the cluster for, as kubectl names them.
const Kinds = "pods,services,endpointslices,ingresses,networkpolicies,deployments,statefulsets,daemonsets,jobs,cronjobs"

// take decodes one object; kinds that say nothing about the way to an app are left out.
func (o *Objects) take(version, kind string, raw []byte) error {
	var err error
	switch version + " " + kind {
	case "v1 Pod":
		err = decode(raw, &o.Pods)
	case "v1 Service":
		err = decode(raw, &o.Services)
	case "discovery.k8s.io/v1 EndpointSlice":
		err = decode(raw, &o.Slices)
	case "networking.k8s.io/v1 Ingress":
		err = decode(raw, &o.Ingresses)
	case "networking.k8s.io/v1 NetworkPolicy":
		err = decode(raw, &o.Policies)
	case "apps/v1 Deployment":
		err = o.workload(kind, raw, new(appsv1.Deployment))
	case "apps/v1 StatefulSet":
		err = o.workload(kind, raw, new(appsv1.StatefulSet))
	case "apps/v1 DaemonSet":
		err = o.workload(kind, raw, new(appsv1.DaemonSet))
	case "batch/v1 Job":
		err = o.workload(kind, raw, new(batchv1.Job))
	case "batch/v1 CronJob":
		err = o.workload(kind, raw, new(batchv1.CronJob))
	}
	if err != nil {
		return fmt.Errorf("read a %s: %w", kind, err)
	}
	return nil
}

func decode[T any](raw []byte, into *[]T) error {
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	*into = append(*into, one)
	return nil
}

func (o *Objects) workload(kind string, raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	w := Workload{Kind: kind}
	switch from := into.(type) {
	case *appsv1.Deployment:
		w.Meta, w.Template = from.ObjectMeta, from.Spec.Template
	case *appsv1.StatefulSet:
		w.Meta, w.Template = from.ObjectMeta, from.Spec.Template
	case *appsv1.DaemonSet:
		w.Meta, w.Template = from.ObjectMeta, from.Spec.Template
	case *batchv1.Job:
		w.Meta, w.Template = from.ObjectMeta, from.Spec.Template
	case *batchv1.CronJob:
		w.Meta, w.Between, w.Template = from.ObjectMeta, from.Spec.JobTemplate.ObjectMeta, from.Spec.JobTemplate.Spec.Template
	}
	o.Workloads = append(o.Workloads, w)
	return nil
}

// settle gives a namespace to those that name none.
func (o *Objects) settle() {
	name := func(meta *metav1.ObjectMeta) {
		if meta.Namespace == "" {
			meta.Namespace = o.namespace
		}
	}
	for i := range o.Pods {
		name(&o.Pods[i].ObjectMeta)
	}
	for i := range o.Services {
		name(&o.Services[i].ObjectMeta)
	}
	for i := range o.Slices {
		name(&o.Slices[i].ObjectMeta)
	}
	for i := range o.Ingresses {
		name(&o.Ingresses[i].ObjectMeta)
	}
	for i := range o.Policies {
		name(&o.Policies[i].ObjectMeta)
	}
	for i := range o.Workloads {
		name(&o.Workloads[i].Meta)
	}
}
