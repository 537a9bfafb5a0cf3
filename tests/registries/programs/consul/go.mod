module lifecycle.example/consul

go 1.24.0

// The last version under the Mozilla Public License.
require github.com/hashicorp/consul v1.16.3

// As Consul's own go.mod.
exclude (
	github.com/hashicorp/go-msgpack v1.1.5
	github.com/hashicorp/go-msgpack v1.1.6
)
