// Package conformance drives a real Elanus server with Milvus's official Go client.
package conformance

import (
	"bufio"
	"context"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

var address string

// TestMain starts one server on free ports over a fresh folder.
func TestMain(m *testing.M) {
	data, err := os.MkdirTemp("", "elanus-go-")
	if err != nil {
		panic(err)
	}
	main, err := filepath.Abs("../../packages/cli/dist/main.js")
	if err != nil {
		panic(err)
	}
	server := exec.Command("node", main, "serve", "--data", data, "--port", "0", "--metrics-port", "0", "--log-level", "warn")
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := server.Start(); err != nil {
		panic(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		panic(fmt.Sprintf("the server did not start: %v", err))
	}
	for _, word := range strings.Fields(line) {
		if rest, found := strings.CutPrefix(word, "grpc=http://"); found {
			address = rest
		}
	}
	code := m.Run()
	_ = server.Process.Signal(syscall.SIGTERM)
	_ = server.Wait()
	_ = os.RemoveAll(data)
	os.Exit(code)
}

func connect(t *testing.T) (context.Context, *milvusclient.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	client, err := milvusclient.New(ctx, &milvusclient.ClientConfig{Address: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()); cancel() })
	return ctx, client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func vectorsOf(count, dim int) [][]float32 {
	source := rand.New(rand.NewSource(1))
	rows := make([][]float32, count)
	for i := range rows {
		rows[i] = make([]float32, dim)
		for j := range rows[i] {
			rows[i][j] = source.Float32()
		}
	}
	return rows
}

// load makes a collection of rows with a name and a year, indexed and loaded.
func load(t *testing.T, ctx context.Context, client *milvusclient.Client, name string, vectors [][]float32) {
	t.Helper()
	dim := int64(len(vectors[0]))
	schema := entity.NewSchema().WithDynamicFieldEnabled(true).
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("name").WithDataType(entity.FieldTypeVarChar).WithMaxLength(64)).
		WithField(entity.NewField().WithName("year").WithDataType(entity.FieldTypeInt32)).
		WithField(entity.NewField().WithName("vector").WithDataType(entity.FieldTypeFloatVector).WithDim(dim))
	must(t, client.CreateCollection(ctx, milvusclient.NewCreateCollectionOption(name, schema).
		WithIndexOptions(milvusclient.NewCreateIndexOption(name, "vector", index.NewHNSWIndex(entity.L2, 16, 100)))))
	t.Cleanup(func() { _ = client.DropCollection(context.Background(), milvusclient.NewDropCollectionOption(name)) })
	ids, names, years := make([]int64, len(vectors)), make([]string, len(vectors)), make([]int32, len(vectors))
	for i := range vectors {
		ids[i], names[i], years[i] = int64(i), fmt.Sprintf("n%d", i), int32(1900+i%100)
	}
	result, err := client.Insert(ctx, milvusclient.NewColumnBasedInsertOption(name).
		WithInt64Column("id", ids).WithVarcharColumn("name", names).WithInt32Column("year", years).
		WithFloatVectorColumn("vector", int(dim), vectors))
	must(t, err)
	if result.InsertCount != int64(len(vectors)) {
		t.Fatalf("inserted %d of %d", result.InsertCount, len(vectors))
	}
	task, err := client.LoadCollection(ctx, milvusclient.NewLoadCollectionOption(name))
	must(t, err)
	must(t, task.Await(ctx))
}

func TestInsertSearchQueryDelete(t *testing.T) {
	ctx, client := connect(t)
	vectors := vectorsOf(300, 8)
	load(t, ctx, client, "go_quick", vectors)

	sets, err := client.Search(ctx, milvusclient.NewSearchOption("go_quick", 5, []entity.Vector{entity.FloatVector(vectors[42])}).
		WithConsistencyLevel(entity.ClStrong).WithOutputFields("name", "year"))
	must(t, err)
	if sets[0].ResultCount != 5 {
		t.Fatalf("%d hits", sets[0].ResultCount)
	}
	id, err := sets[0].IDs.GetAsInt64(0)
	must(t, err)
	name, err := sets[0].GetColumn("name").GetAsString(0)
	must(t, err)
	if id != 42 || name != "n42" || sets[0].Scores[0] > 1e-6 {
		t.Fatalf("nearest is %d %q at %f", id, name, sets[0].Scores[0])
	}

	rows, err := client.Query(ctx, milvusclient.NewQueryOption("go_quick").WithFilter("year >= 1990 and id < 100").
		WithConsistencyLevel(entity.ClStrong).WithOutputFields("id", "year"))
	must(t, err)
	if rows.ResultCount != 10 {
		t.Fatalf("%d rows, expected 10", rows.ResultCount)
	}

	deleted, err := client.Delete(ctx, milvusclient.NewDeleteOption("go_quick").WithInt64IDs("id", []int64{42, 43}))
	must(t, err)
	if deleted.DeleteCount != 2 {
		t.Fatalf("deleted %d", deleted.DeleteCount)
	}
	sets, err = client.Search(ctx, milvusclient.NewSearchOption("go_quick", 1, []entity.Vector{entity.FloatVector(vectors[42])}).
		WithConsistencyLevel(entity.ClStrong))
	must(t, err)
	if id, _ := sets[0].IDs.GetAsInt64(0); id == 42 {
		t.Fatal("the deleted row is back")
	}
}

func TestUpsertFlushAndDescribe(t *testing.T) {
	ctx, client := connect(t)
	vectors := vectorsOf(50, 4)
	load(t, ctx, client, "go_upsert", vectors)
	_, err := client.Upsert(ctx, milvusclient.NewColumnBasedInsertOption("go_upsert").
		WithInt64Column("id", []int64{7}).WithVarcharColumn("name", []string{"new"}).WithInt32Column("year", []int32{5}).
		WithFloatVectorColumn("vector", 4, vectors[:1]))
	must(t, err)
	flush, err := client.Flush(ctx, milvusclient.NewFlushOption("go_upsert"))
	must(t, err)
	must(t, flush.Await(ctx))
	rows, err := client.Get(ctx, milvusclient.NewQueryOption("go_upsert").WithIDs(column.NewColumnInt64("id", []int64{7})).
		WithConsistencyLevel(entity.ClStrong).WithOutputFields("name"))
	must(t, err)
	if name, _ := rows.GetColumn("name").GetAsString(0); name != "new" {
		t.Fatalf("name is %q", name)
	}
	described, err := client.DescribeCollection(ctx, milvusclient.NewDescribeCollectionOption("go_upsert"))
	must(t, err)
	if len(described.Schema.Fields) != 4 || !described.Schema.EnableDynamicField {
		t.Fatalf("schema %v", described.Schema)
	}
	names, err := client.ListCollections(ctx, milvusclient.NewListCollectionOption())
	must(t, err)
	if !strings.Contains(strings.Join(names, ","), "go_upsert") {
		t.Fatalf("collections %v", names)
	}
	info, err := client.DescribeIndex(ctx, milvusclient.NewDescribeIndexOption("go_upsert", "vector"))
	must(t, err)
	if info.Params()["index_type"] != "HNSW" {
		t.Fatalf("index %v", info.Params())
	}
}

func TestPartitionsAndAliases(t *testing.T) {
	ctx, client := connect(t)
	load(t, ctx, client, "go_parts", vectorsOf(10, 4))
	must(t, client.CreatePartition(ctx, milvusclient.NewCreatePartitionOption("go_parts", "p1")))
	has, err := client.HasPartition(ctx, milvusclient.NewHasPartitionOption("go_parts", "p1"))
	must(t, err)
	if !has {
		t.Fatal("no partition p1")
	}
	must(t, client.CreateAlias(ctx, milvusclient.NewCreateAliasOption("go_parts", "go_alias")))
	alias, err := client.DescribeAlias(ctx, milvusclient.NewDescribeAliasOption("go_alias"))
	must(t, err)
	if alias.CollectionName != "go_parts" {
		t.Fatalf("alias of %q", alias.CollectionName)
	}
	must(t, client.DropAlias(ctx, milvusclient.NewDropAliasOption("go_alias")))
	has, err = client.HasCollection(ctx, milvusclient.NewHasCollectionOption("go_absent"))
	must(t, err)
	if has {
		t.Fatal("an absent collection is there")
	}
}

func TestHybridSearch(t *testing.T) {
	ctx, client := connect(t)
	vectors := vectorsOf(100, 8)
	load(t, ctx, client, "go_hybrid", vectors)
	request := func(row int) *milvusclient.AnnRequest {
		return milvusclient.NewAnnRequest("vector", 10, entity.FloatVector(vectors[row]))
	}
	sets, err := client.HybridSearch(ctx, milvusclient.NewHybridSearchOption("go_hybrid", 3, request(5), request(5)).
		WithReranker(milvusclient.NewRRFReranker()).WithConsistencyLevel(entity.ClStrong).WithOutputFields("name"))
	must(t, err)
	if id, _ := sets[0].IDs.GetAsInt64(0); id != 5 {
		t.Fatalf("best is %d", id)
	}
}
