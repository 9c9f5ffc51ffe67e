"""imageferry: moves Azure managed images into an Azure Compute Gallery as Kubernetes resources."""
