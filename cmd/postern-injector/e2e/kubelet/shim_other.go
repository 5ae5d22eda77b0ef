//go:build !linux

package kubelet

// Shim does nothing here: there are no containers.
func Shim() {}
