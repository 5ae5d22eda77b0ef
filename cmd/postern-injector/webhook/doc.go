// Package webhook answers the API server's AdmissionReviews: whether a pod gets the sidecar, and by which patch.
//
// It owns the HTTP side of it ([Handler]): what is no AdmissionReview of a new pod, limits of size and concurrency, refusals and failures as the
// API server must see them, and what people see of a decision: one log line, metrics, an event ([Events]). It owns the settings that it
// decides by: the file of the administrator ([Settings], read anew when it changes) and the defaults of a namespace ([Defaults]).
//
// It does not own the patch: that is the function given to it, package inject's. It keeps nothing about pods.
//
// An answer is 200 with a patch, 200 without one because there is nothing to change, 200 with a refusal that says all that is wrong, or an
// HTTP error, which the API server treats by its failurePolicy. A pod is never let pass because of trouble here.
package webhook
