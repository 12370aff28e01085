// SPDX-License-Identifier: Apache-2.0

// A container runtime in small: one verb for a list of plugins by libcni, the library that containerd, CRI-O and Podman
// use. The request is JSON on stdin, the answer JSON on stdout: {"result": ...}, or {"code": ..., "msg": ...} and exit 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

type request struct {
	Verb        string                 `json:"verb"`
	Path        []string               `json:"path"`
	CacheDir    string                 `json:"cacheDir"`
	ContainerID string                 `json:"containerId"`
	NetNS       string                 `json:"netns"`
	IfName      string                 `json:"ifname"`
	Args        [][2]string            `json:"args"`
	Runtime     map[string]interface{} `json:"runtime"`
	List        json.RawMessage        `json:"list"`
}

func run(ask request) (interface{}, error) {
	list, err := libcni.ConfListFromBytes(ask.List)
	if err != nil {
		return nil, err
	}
	cni := libcni.NewCNIConfigWithCacheDir(ask.Path, ask.CacheDir, nil)
	runtime := &libcni.RuntimeConf{
		ContainerID:    ask.ContainerID,
		NetNS:          ask.NetNS,
		IfName:         ask.IfName,
		Args:           ask.Args,
		CapabilityArgs: ask.Runtime,
		CacheDir:       ask.CacheDir,
	}
	ctx := context.Background()
	switch ask.Verb {
	case "ADD":
		return cni.AddNetworkList(ctx, list, runtime)
	case "CHECK":
		return nil, cni.CheckNetworkList(ctx, list, runtime)
	case "DEL":
		return nil, cni.DelNetworkList(ctx, list, runtime)
	case "VERSION":
		info, err := cni.GetVersionInfo(ctx, list.Plugins[0].Network.Type)
		if err != nil {
			return nil, err
		}
		return info.SupportedVersions(), nil
	}
	return nil, fmt.Errorf("unknown verb %q", ask.Verb)
}

func main() {
	var ask request
	out := json.NewEncoder(os.Stdout)
	err := json.NewDecoder(os.Stdin).Decode(&ask)
	var result interface{}
	if err == nil {
		result, err = run(ask)
	}
	if err == nil {
		_ = out.Encode(map[string]interface{}{"result": result})
		return
	}
	var coded *types.Error
	if !errors.As(err, &coded) {
		coded = &types.Error{Msg: err.Error()}
	}
	_ = out.Encode(coded)
	os.Exit(1)
}
