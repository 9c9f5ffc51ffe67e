// Command controlplane is etcd, kube-apiserver and kubectl in one binary.
//
// One link step instead of three halves the time that a fresh machine waits for
// its first test. The parts are the published ones, unchanged; each runs as a
// process of its own: `controlplane etcd …`, `controlplane kube-apiserver …`.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("no part named")
	}
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "kubectl":
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	default:
		fail(fmt.Sprintf("no part is called %q", os.Args[0]))
	}
}

func fail(found string) {
	fmt.Fprintf(os.Stderr, "controlplane: %s; name one of: etcd, kube-apiserver, kubectl\n", found)
	os.Exit(2)
}
