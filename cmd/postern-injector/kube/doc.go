// Package kube is the little of the Kubernetes API that the injector speaks, over net/http.
//
// It owns where the API server is and who asks ([InCluster] with a token that is read again, [FromKubeconfig] with static credentials), the
// requests themselves, their limits of time and size, and what their errors mean ([IsNotFound], [IsConflict]; everything else is trouble).
//
// It does not own retries: each call is one request (a list is one for each page), and its caller knows best when to ask again. It holds no
// client-go, so that the injector stays small, and it never changes an object by writing back what it has read: fields of a newer API that
// these types do not know would be lost. All changes are patches.
package kube
